/// A type of PostgreSQL as far as features need to know it.
struct PostgresType: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case bool
        case integer
        case float4
        case float8
        case numeric
        case text
        /// `char(n)`: blanks at the end mean nothing.
        case padded
        case uuid
        case enumeration
        case bytes
        /// `timestamptz`, `timestamp` (taken as UTC) and `date`.
        case time
        case json
        /// pgvector's `vector` and `halfvec`, spelled `[1,2,3]`.
        case vector
        /// The oid of the elements' type.
        case array(UInt32)
        case xid8
        case other
    }

    let oid: UInt32
    /// Schema-qualified and quoted, for casts.
    let name: String
    /// For people, as in `numeric`.
    let label: String
    let kind: Kind

    /// Whether it is PostgreSQL's own and not an extension's or a user's.
    var isBuiltIn: Bool { oid < 16_384 }

    /// Reads a row of `catalogQuery`; `nil` for one that makes no sense.
    init?(row: [String?]) {
        guard row.count == 6, let oid = row[0].flatMap({ UInt32($0) }), let name = row[1], let label = row[2] else {
            return nil
        }
        self.oid = oid
        self.name = name
        self.label = label.hasPrefix("_") ? "\(label.dropFirst())[]" : label
        let element = row[5].flatMap { UInt32($0) } ?? 0
        kind = Self.kind(oid: oid, label: label, isEnum: row[3] == "e", category: row[4] ?? "", element: element)
    }

    /// The types of given oids, and of their elements. One parameter: an `oid[]`.
    static let catalogQuery = """
        SELECT t.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname), t.typname, \
        t.typtype, t.typcategory, t.typelem \
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
        WHERE t.oid = ANY ($1::oid[]) \
        OR t.oid IN (SELECT a.typelem FROM pg_catalog.pg_type a WHERE a.oid = ANY ($1::oid[]) AND a.typcategory = 'A')
        """

    /// Oids of built-in types never change: `src/include/catalog/pg_type.dat`.
    private static func kind(oid: UInt32, label: String, isEnum: Bool, category: String, element: UInt32) -> Kind {
        switch oid {
        case 16: .bool
        case 20, 21, 23: .integer
        case 700: .float4
        case 701: .float8
        case 1700: .numeric
        case 1042: .padded
        case 2950: .uuid
        case 17: .bytes
        case 1184, 1114, 1082: .time
        case 114, 3802: .json
        case 5069: .xid8
        default:
            if isEnum {
                .enumeration
            } else if category == "A", element != 0 {
                .array(element)
            } else if label == "vector" || label == "halfvec" {
                .vector
            } else if category == "S" {
                .text
            } else {
                .other
            }
        }
    }
}
