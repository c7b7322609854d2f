internal import NIOCore

/// What a read of a `RedisLane` delivers to; called on the lane's event loop only.
package protocol RedisLaneReceiver: AnyObject {
    /// One element of an MGET answer, `index` counted over all commands of the read, ascending and each at most once;
    /// `nil` where nothing is stored. `bytes` are valid during the call only.
    func laneReceived(_ index: Int, _ bytes: UnsafeRawBufferPointer?)
    /// Exactly once, last: `nil` when every element came.
    func laneFinished(_ error: RedisError?)
}

/// One read on its way. Lives on its lane's event loop.
final class LaneRead {
    let token: UInt64
    let request: ByteBuffer
    let commands: Int
    /// How many elements must come.
    let keys: Int
    let deadline: NIODeadline
    /// How many elements came.
    private(set) var received = 0
    /// Bytes of the elements that came.
    private(set) var receivedBytes = 0
    /// Whether a server may have seen it.
    var wasSent = false
    var wasRetried = false
    /// Why one of its commands was refused. From then on nothing is delivered, since indices would be off.
    var refusal: RedisError?
    /// Stands before the command that is answered next.
    private var cursor: CommandCursor
    /// Constant, so that handing out an element need not retain it.
    private let receiver: any RedisLaneReceiver
    private var isOver = false

    init(
        token: UInt64, request: ByteBuffer, commands: Int, keys: Int, deadline: NIODeadline,
        receiver: any RedisLaneReceiver
    ) {
        self.token = token
        self.request = request
        self.commands = commands
        self.keys = keys
        self.deadline = deadline
        self.receiver = receiver
        cursor = CommandCursor(request)
    }

    /// How many elements the next answer must have. Called once an answer.
    func takeCount() -> Int? {
        commands == 1 ? keys : cursor.next()
    }

    /// Hands the next element out.
    @inline(__always)
    func deliver(_ bytes: UnsafeRawBufferPointer?) {
        let index = received
        received += 1
        if let bytes = unsafe bytes { receivedBytes += bytes.count }
        if !isOver { unsafe receiver.laneReceived(index, bytes) }
    }

    /// Ends it; only the first call counts.
    func finish(_ error: RedisError?) {
        guard !isOver else { return }
        isOver = true
        receiver.laneFinished(error)
    }

    /// Ends it without a word.
    func forget() {
        isOver = true
    }
}
