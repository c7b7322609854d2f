import FeatureModel
import Testing

@Suite struct SchemaTests {
    @Test func committedSchemasAreWhatTheCodeSays() throws {
        #expect(try Files.text("schemas/config.schema.json") == ConfigSchema.json())
        #expect(try Files.text("schemas/definitions.schema.json") == DefinitionsSchema.json())
    }
}
