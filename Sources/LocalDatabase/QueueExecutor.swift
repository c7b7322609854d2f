import Dispatch

/// A thread of its own for one blocking handle: the serial executor of the actor that owns the handle.
///
/// `DispatchSerialQueue` is not an executor on Linux, hence this one.
package final class QueueExecutor: SerialExecutor {
    private let queue: DispatchQueue

    /// `label` shows up in debuggers and crash reports.
    package init(label: String) {
        queue = DispatchQueue(label: label)
    }

    /// Runs the job behind all jobs enqueued before it.
    package func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        queue.async {
            unsafe unowned.runSynchronously(on: self.asUnownedSerialExecutor())
        }
    }

    /// This executor as actors want it.
    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(ordinary: self)
    }
}
