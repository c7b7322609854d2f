import FeatureModel
import Testing

@Test func theShopCompiles() throws {
    do {
        let catalog = try Catalog.compile(project: "shop", files: try Files.shop(), sources: ["shop"])
        #expect(catalog.views.map(\.name) == ["item", "item_stats", "user_activity", "user_week"])
    } catch let error as DefinitionErrors {
        Issue.record("\(error)")
    }
}
