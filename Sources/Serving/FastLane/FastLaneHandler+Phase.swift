extension FastLaneHandler {
    /// What a connection is at.
    enum Phase {
        /// Between two requests → collecting, routing, ending.
        case idle
        /// The body of a lookup or recommendation is coming in → working, idle, ending.
        case collecting
        /// A lookup or recommendation is under way → idle, ending.
        case working
        /// The router has a request → idle when both sides ended, ending.
        case routing(requestEnded: Bool, answerEnded: Bool)
        /// The last answer is written or nothing more will be: what still comes in is dropped.
        case ending
    }
}
