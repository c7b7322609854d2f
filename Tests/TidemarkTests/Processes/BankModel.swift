import TidemarkTesting

/// Who writes the bank: knows what is there, and makes transactions out of random numbers.
struct BankModel: Sendable {
    private(set) var random: SeededGenerator
    let following: Following
    /// Accounts that exist (and aren't marked as gone).
    private(set) var accounts: [Int64] = []
    private var buried: [Int64] = []
    private var entries: [(id: Int64, account: Int64)] = []
    private var nextAccount: Int64 = 1
    private var nextEntry: Int64 = 1
    /// Rises with every change: whoever sees a smaller one later sees the past.
    private var stamp: Int64 = 0

    init(_ following: Following, seed: UInt64) {
        random = SeededGenerator(seed: seed)
        self.following = following
    }

    private var table: String { following.table }

    /// The table that the view reads.
    func schema(_ source: any SourceDatabase) -> [String] {
        let (integer, double, text) = (
            source.columnType(.integer), source.columnType(.double), source.columnType(.text)
        )
        guard following.readsAccounts else {
            return [
                "CREATE TABLE \(table)(id \(integer) PRIMARY KEY, account_id \(integer), amount \(integer))",
                "CREATE INDEX \(table)_account ON \(table)(account_id)",
            ]
        }
        return [
            """
            CREATE TABLE \(table)(
                id \(integer) PRIMARY KEY, name \(text), balance \(integer), score \(double), stamp \(integer), gone \(integer))
            """,
            "CREATE INDEX \(table)_stamp ON \(table)(stamp, id)",
        ]
    }

    /// `count` accounts, with entries if the view reads those.
    mutating func open(_ count: Int) -> [String] {
        (0..<count).flatMap { _ in
            let statements = insert()
            return following.readsAccounts ? statements : statements + enter() + enter()
        }
    }

    /// One transaction of `count` changes of all kinds. `badShare` of the values written break the contract.
    mutating func change(_ count: Int, badShare: Double = 0) -> [String] {
        // What is committed later never has the stamp of what was committed before.
        stamp += 1
        return (0..<count).flatMap { _ in
            following.readsAccounts ? changeAccount(badShare) : changeEntry(badShare)
        }
    }

    /// Makes the values right that broke the contract.
    mutating func mend() -> [String] {
        if following.readsAccounts {
            stamp += 1
            return ["UPDATE \(table) SET balance = -balance, stamp = \(stamp) WHERE balance < 0 AND id % 2 = 0"]
        }
        return accounts.filter { $0 % 2 == 0 }.flatMap { enter(to: $0, amount: 1_000_000) }
    }

    // MARK: Accounts

    private mutating func tick() -> Int64 {
        // Some share a stamp with the change before: a tie in the reading order.
        if random.chance(0.6) { stamp += 1 }
        return stamp
    }

    private mutating func values(_ badShare: Double) -> String {
        let names = ["", "Ada", "O''Neill", "Zoë 🦉", "a,b{c}:*", String(repeating: "long ", count: 150)]
        let name = random.chance(0.1) ? "NULL" : "'\(random.pick(names))'"
        let balance = random.chance(badShare) ? -Int64(1 + random.below(1_000)) : Int64(random.below(1_000_000))
        let score = random.chance(0.1) ? "NULL" : "\(random.fraction())"
        return "\(name), \(balance), \(score)"
    }

    private mutating func insert(_ account: Int64? = nil, badShare: Double = 0) -> [String] {
        let id = account ?? nextAccount
        if account == nil { nextAccount += 1 }
        accounts.append(id)
        guard following.readsAccounts else { return [] }
        let row = "\(id), \(values(badShare)), \(tick()), 0"
        guard account != nil, following == .column else { return ["INSERT INTO \(table) VALUES (\(row))"] }
        return ["DELETE FROM \(table) WHERE id = \(id)", "INSERT INTO \(table) VALUES (\(row))"]
    }

    private mutating func changeAccount(_ badShare: Double) -> [String] {
        guard accounts.count > 10 else { return insert(badShare: badShare) }
        let index = random.below(accounts.count)
        let id = accounts[index]
        switch random.below(20) {
        case 0..<10: return update(id, badShare)
        case 10..<14: return insert(badShare: badShare)
        case 14..<17:
            accounts.remove(at: index)
            buried.append(id)
            return remove(id)
        case 17:
            // The key itself changes.
            accounts.remove(at: index)
            buried.append(id)
            if following == .column { return remove(id) + insert(badShare: badShare) }
            accounts.append(nextAccount)
            nextAccount += 1
            return ["UPDATE \(table) SET id = \(nextAccount - 1), stamp = \(tick()) WHERE id = \(id)"]
        case 18:
            // Gone and back in one transaction.
            accounts.remove(at: index)
            return remove(id) + insert(id, badShare: badShare)
        default:
            guard let id = buried.popLast() else { return update(id, badShare) }
            return insert(id, badShare: badShare)
        }
    }

    private mutating func update(_ id: Int64, _ badShare: Double) -> [String] {
        let name = random.pick(["Bo", "Cy", "Di"])
        let balance = random.chance(badShare) ? -Int64(1 + random.below(1_000)) : Int64(random.below(1_000_000))
        return [
            "UPDATE \(table) SET name = '\(name)', balance = \(balance), score = \(random.fraction()), "
                + "stamp = \(tick()) WHERE id = \(id)"
        ]
    }

    private mutating func remove(_ id: Int64) -> [String] {
        following == .column
            ? ["UPDATE \(table) SET gone = 1, stamp = \(tick()) WHERE id = \(id)"]
            : ["DELETE FROM \(table) WHERE id = \(id)"]
    }

    // MARK: Entries

    private mutating func enter(to account: Int64? = nil, amount: Int64? = nil) -> [String] {
        let account = account ?? random.pick(accounts)
        let id = nextEntry
        nextEntry += 1
        entries.append((id, account))
        return ["INSERT INTO \(table) VALUES (\(id), \(account), \(amount ?? Int64(random.below(1_000))))"]
    }

    private mutating func changeEntry(_ badShare: Double) -> [String] {
        if random.chance(badShare) { return enter(amount: -1_000_000) }
        if random.chance(0.1) {
            let statements = insert()
            return statements + enter(to: accounts[accounts.count - 1])
        }
        guard following == .totals, entries.count > 10 else { return enter() }
        let index = random.below(entries.count)
        let entry = entries[index]
        switch random.below(10) {
        case 0..<4: return enter()
        case 4..<6: return ["UPDATE \(table) SET amount = \(random.below(1_000)) WHERE id = \(entry.id)"]
        case 6:
            // The entry moves: two accounts change.
            let other = random.pick(accounts)
            entries[index].account = other
            return ["UPDATE \(table) SET account_id = \(other) WHERE id = \(entry.id)"]
        case 7:
            // All of an account's entries go, and with them its row.
            entries.removeAll { $0.account == entry.account }
            return ["DELETE FROM \(table) WHERE account_id = \(entry.account)"]
        default:
            entries.remove(at: index)
            return ["DELETE FROM \(table) WHERE id = \(entry.id)"]
        }
    }
}
