/// One model that ranks: a folder of versions, or a model of another server.
package struct ModelConfig: Hashable, Sendable {
    package let name: String
    /// The folder of the versions; relative paths count from the config's folder. `nil` for a remote model.
    package let path: String?
    /// The longest model file that is loaded.
    package let maximumBytes: Int
    /// How many versions a training leaves in the folder.
    package let keep: Int
    /// What the model reads, in order; empty where that follows from its pipeline.
    package let columns: [ModelColumnConfig]
    package let training: TrainingConfig?
    package let remote: RemoteModelConfig?
}

/// One column of a model's matrix as the config says it.
package struct ModelColumnConfig: Hashable, Sendable {
    /// Where the value of a column comes from.
    package enum Input: Hashable, Sendable {
        case feature(FeatureReference)
        /// The score of a recall source of the pipeline.
        case recall(String)
        /// How much a feature of the item is like one of the user.
        case match(user: FeatureReference, item: FeatureReference)
    }

    /// How a value becomes a number.
    package enum Encoding: String, CaseIterable, Sendable {
        case number
        case boolean
        case category
        case ageSeconds = "age_s"
        case ageMilliseconds = "age_ms"
        case ageMicroseconds = "age_us"
    }

    package let input: Input
    /// `nil` for the one that the feature's type has.
    package let encoding: Encoding?
    /// The texts of a category; empty for those of the feature's contract.
    package let categories: [String]
}

/// A model that another server scores with, over the Open Inference Protocol, version 2.
package struct RemoteModelConfig: Hashable, Sendable {
    /// http://HOST:PORT
    package let url: String
    /// Its name over there.
    package let model: String
    /// Its version over there; `nil` for the one that the server takes.
    package let version: String?
    /// The longest that one call may take.
    package let timeout: Duration
    /// The most calls under way at once.
    package let maximumInFlight: Int

    package init(url: String, model: String, version: String?, timeout: Duration, maximumInFlight: Int) {
        self.url = url
        self.model = model
        self.version = version
        self.timeout = timeout
        self.maximumInFlight = maximumInFlight
    }
}

/// What `tidemark train ranker` learns from.
package struct TrainingConfig: Hashable, Sendable {
    /// The pipeline that the model is for: its entities, recall sources and features.
    package let pipeline: String
    /// The source of the events.
    package let from: String
    /// One SELECT without parameters, a row an event: the keys of user and item, the time, and the grade if there is one.
    package let query: String
    package let time: TimeColumn
    /// The column that says how relevant an event makes its item, from 1; each counts 1 where `nil`.
    package let grade: String?
    /// How far ahead of a moment events are what should have been recommended then.
    package let horizon: Duration
    /// How many of a user's newest items recall starts from, and are not recommended again.
    package let recent: Int
    /// How much later an event could be read online, as one of these items.
    package let delay: Duration
    /// The most events that are held, 32 bytes each; more end the training.
    package let maximumEvents: Int
    /// The most moments to learn from, and to test with.
    package let groups: Int
    package let testGroups: Int
    /// The most candidates of a moment that are learned from.
    package let negatives: Int
    /// The share of the events, by time, that recall is built from before the first moment to learn from.
    package let warmup: Double
    /// The share of the events, the last by time, that the model is tested with and never sees.
    package let holdout: Double
    /// How each view's values were, by the view's name.
    package let history: [HistoryConfig]
}

/// The values of a view's features as they were, row by row.
package struct HistoryConfig: Hashable, Sendable {
    package let view: String
    /// The source; the training's where the file names none.
    package let from: String
    /// One SELECT without parameters: the entity's keys, the features, and the time from which they held.
    package let query: String
    package let time: TimeColumn
    /// How much later a value could be read online.
    package let delay: Duration
    /// Whether a row tells only what changed: null leaves a feature as it was.
    package let isPartial: Bool
}
