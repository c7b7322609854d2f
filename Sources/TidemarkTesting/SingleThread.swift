import Dispatch

/// Runs all jobs of the tasks that prefer it on one thread in the order they became ready, so that a schedule of tasks
/// depends on nothing but its seed.
package final class SingleThread: TaskExecutor {
    private let queue = DispatchQueue(label: "single thread")

    package init() {}

    /// Runs the job behind all jobs enqueued before it.
    package func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        queue.async {
            unsafe unowned.runSynchronously(on: self.asUnownedTaskExecutor())
        }
    }
}
