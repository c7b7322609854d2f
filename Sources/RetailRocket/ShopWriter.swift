import LocalDatabase

/// Appends rows to a shop's logs and items with prepared statements. Used only inside one `LocalDatabase.run`.
final class ShopWriter {
    private let insertEvent: SQLiteStatement
    private let insertProperty: SQLiteStatement
    private let insertItem: SQLiteStatement
    private let updateItem: SQLiteStatement
    private(set) var eventCount = 0
    private(set) var propertyCount = 0

    init(_ database: SQLiteConnection) throws(SQLiteError) {
        insertEvent = try database.prepare(
            "INSERT INTO events (timestamp, visitorid, event, itemid, transactionid) VALUES (?, ?, ?, ?, ?)")
        insertProperty = try database.prepare(
            "INSERT INTO item_properties (timestamp, itemid, property, value) VALUES (?, ?, ?, ?)")
        insertItem = try database.prepare(
            """
            INSERT INTO items (itemid, categoryid, price, available, updated_at, is_deleted)
            VALUES (?, ?, ?, ?, ?, ?)
            """)
        updateItem = try database.prepare(
            """
            UPDATE items SET categoryid = ?2, price = ?3, available = ?4, updated_at = ?5, is_deleted = ?6
            WHERE itemid = ?1
            """)
    }

    /// Values are bound one by one: this is the hot path, and an array a row would cost more than the row.
    func event(
        at time: Int64, visitor: Int64, name: String, item: Int64, transaction: Int64?
    ) throws(SQLiteError) {
        try insertEvent.bind(.integer(time), at: 1)
        try insertEvent.bind(.integer(visitor), at: 2)
        try insertEvent.bind(.text(name), at: 3)
        try insertEvent.bind(.integer(item), at: 4)
        try insertEvent.bind(transaction.map { .integer($0) } ?? .null, at: 5)
        _ = try insertEvent.step()
        eventCount += 1
    }

    /// One row of `item_properties`.
    func property(at time: Int64, item: Int64, name: String, value: String) throws(SQLiteError) {
        try insertProperty.bind(.integer(time), at: 1)
        try insertProperty.bind(.integer(item), at: 2)
        try insertProperty.bind(.text(name), at: 3)
        try insertProperty.bind(.text(value), at: 4)
        _ = try insertProperty.step()
        propertyCount += 1
    }

    /// Writes an item's row as the catalog has it.
    ///
    /// - Returns: Whether the item is new to the table.
    func item(_ index: Int, of catalog: borrowing Catalog, mayExist: Bool, in database: SQLiteConnection)
        throws(SQLiteError) -> Bool
    {
        let item = catalog.items[index]
        let values: [SQLiteValue] = [
            .integer(Int64(index + 1)),
            item.leaf < 0 ? .null : .integer(catalog.tree.leafID(Int(item.leaf))),
            .real(Double(item.price)),
            .integer(item.isAvailable ? 1 : 0),
            .text(ShopClock.text(item.changedAt)),
            .integer(item.isDeleted ? 1 : 0),
        ]
        if mayExist {
            try updateItem.run(values)
            if database.changeCount > 0 { return false }
        }
        try insertItem.run(values)
        return true
    }
}
