package import FeatureModel

/// An error as a Feast client rebuilds it: the name of a class in its own `feast.errors`, and the message. The status is a
/// 4xx where the client is wrong, since Feast's SDK sends a request that got a 500 three times more.
package struct FeastFault: Sendable, Hashable {
    package let status: Int
    /// A class of `feast.errors`.
    package let name: String
    package let message: String

    /// Any class of `feast.errors`; the base class where none fits better.
    package init(status: Int, name: String = "FeastError", message: String) {
        self.status = status
        self.name = name
        self.message = message
    }

    /// A view that isn't there. `hint` goes behind Feast's own text.
    package static func viewNotFound(_ view: String, project: String, hint: String = "") -> FeastFault {
        FeastFault(
            status: 404, name: "FeatureViewNotFoundException",
            message: "Feature view \(view) does not exist in project \(project)\(hint)")
    }

    /// A service that isn't there.
    package static func serviceNotFound(_ service: String, project: String, hint: String = "") -> FeastFault {
        FeastFault(
            status: 404, name: "FeatureServiceNotFoundException",
            message: "Feature service \(service) does not exist in project \(project)\(hint)")
    }

    /// A feature that its view hasn't. Feast has no class for it (its server fails with a KeyError).
    package static func featureNotFound(_ feature: FeatureReference, hint: String = "") -> FeastFault {
        FeastFault(
            status: 404, name: "FeastObjectNotFoundException",
            message: "Feature \(feature.feature) does not exist in feature view \(feature.view)\(hint)")
    }

    /// A push source that isn't there.
    package static func pushSourceNotFound(_ source: String, hint: String = "") -> FeastFault {
        FeastFault(
            status: 422, name: "PushSourceNotFoundException", message: "Unable to find push source '\(source)'.\(hint)")
    }

    /// Features with one name, from `FeatureSelection.collisions`. Each name is listed once, in the order asked.
    package static func nameCollision(_ features: [FeatureReference], fullFeatureNames: Bool) -> FeastFault {
        var names: [String] = []
        for feature in features {
            let name = fullFeatureNames ? "\(feature.view)__\(feature.feature)" : feature.feature
            if !names.contains(name) { names.append(name) }
        }
        let advice =
            fullFeatureNames
            ? "To resolve this collision, please ensure that the feature views or their own features have different "
                + "names. If you're intentionally joining the same feature view twice on different sets of entities, "
                + "please rename one of the feature views with '.with_name'."
            : "To resolve this collision, either use the full feature name by setting 'full_feature_names=True', or "
                + "ensure that the features in question have different names."
        return FeastFault(
            status: 400, name: "FeatureNameCollisionError",
            message: "Duplicate features named \(names.joined(separator: ", ")) found.\n\(advice)")
    }
}
