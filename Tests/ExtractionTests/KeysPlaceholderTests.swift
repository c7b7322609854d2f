import Extraction
import Testing

struct KeysPlaceholderTests {
    @Test(arguments: [
        ("SELECT 1 WHERE a IN (:keys)", "SELECT 1 WHERE a IN (#)", 1),
        (":keys", "#", 1),
        ("(:keys) and (:keys)", "(#) and (#)", 2),
        ("':keys'", "':keys'", 0),
        ("'it''s :keys' :keys", "'it''s :keys' #", 1),
        ("E'\\':keys' :keys", "E'\\':keys' #", 1),
        ("name'\\' :keys", "name'\\' #", 1),
        ("\":keys\" = :keys", "\":keys\" = #", 1),
        ("\"a\"\":keys\" = :keys", "\"a\"\":keys\" = #", 1),
        ("-- :keys\n:keys", "-- :keys\n#", 1),
        ("/* :keys /* :keys */ :keys */ :keys", "/* :keys /* :keys */ :keys */ #", 1),
        ("$$ :keys $$ :keys", "$$ :keys $$ #", 1),
        ("$t$ :keys $$ $t$ :keys", "$t$ :keys $$ $t$ #", 1),
        ("$1 :keys", "$1 #", 1),
        ("a$b$ :keys", "a$b$ #", 1),
        ("x::keys", "x::keys", 0),
        (":keys_of :keys2 :keysä", ":keys_of :keys2 :keysä", 0),
        ("'never closed :keys", "'never closed :keys", 0),
        ("/* never closed :keys", "/* never closed :keys", 0),
        ("$x$ never closed :keys", "$x$ never closed :keys", 0),
        ("E'ends in \\", "E'ends in \\", 0),
        ("'ä' = :keys", "'ä' = #", 1),
        ("", "", 0),
    ])
    func placeholdersOutsideOfLiteralsAndCommentsAreReplaced(query: String, expanded: String, count: Int) {
        #expect(KeysPlaceholder.expand(query, with: "#") == expanded)
        #expect(KeysPlaceholder.count(in: query) == count)
    }

    @Test func terminatorsAreDropped() {
        #expect(KeysPlaceholder.withoutTerminator("SELECT 1 ; \n;") == "SELECT 1")
        #expect(KeysPlaceholder.withoutTerminator("SELECT ';'") == "SELECT ';'")
        #expect(KeysPlaceholder.withoutTerminator(" ; ").isEmpty)
    }
}
