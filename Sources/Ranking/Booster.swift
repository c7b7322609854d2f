import CXGBoost
import Synchronization

/// One XGBoost booster, through the C API. One thread a call: OpenMP is told so at load.
///
/// XGBoost's readers check what they parse and report what is wrong, but trust the shape of the trees in it: bytes that
/// were made to harm can crash the process. A model's digest guards against damage, not against who can write both files.
@safe package final class Booster: @unchecked Sendable {
    // Safe to send: whoever holds it uses it alone. Rankers lease theirs from a `BoosterPool`, trainers keep their own.
    private let raw: BoosterHandle
    /// Takes the matrices that are scored; `nil` while training. Made once, since the library reads the limits of the process's control
    /// group from files each time that it makes one.
    private let proxy: DMatrixHandle?

    /// The library's version, as `1.7.4`.
    package static var libraryVersion: String {
        var major: Int32 = 0
        var minor: Int32 = 0
        var patch: Int32 = 0
        unsafe XGBoostVersion(&major, &minor, &patch)
        return "\(major).\(minor).\(patch)"
    }

    /// Loads a model from its UBJSON or JSON.
    ///
    /// - Throws: `corrupt` with the library's words.
    package init(model: [UInt8]) throws(RankerError) {
        let raw = try unsafe Self.make(training: [])
        var made: DMatrixHandle?
        do {
            try Self.check("no matrix could be made") { unsafe XGProxyDMatrixCreate(&made) }
        } catch {
            unsafe XGBoosterFree(raw)
            throw error
        }
        unsafe self.raw = unsafe raw
        unsafe proxy = unsafe made
        // From here on deinit frees the handles.
        try configure([("verbosity", "0"), ("nthread", "1")])
        try Self.check("the model can't be loaded", .corrupt) {
            unsafe model.withUnsafeBytes {
                unsafe XGBoosterLoadModelFromBuffer(raw, $0.baseAddress, bst_ulong($0.count))
            }
        }
        // A model brings its own parameters along.
        try configure([("verbosity", "0"), ("nthread", "1")])
    }

    /// A booster that is to be trained with these matrices; they must outlive it.
    init(training matrices: [DMatrixHandle?], parameters: [(String, String)]) throws(RankerError) {
        unsafe raw = try unsafe Self.make(training: matrices)
        unsafe proxy = nil
        try configure(parameters)
    }

    deinit {
        unsafe XGBoosterFree(raw)
        if let proxy = unsafe proxy { unsafe XGDMatrixFree(proxy) }
    }

    private static func make(training matrices: [DMatrixHandle?]) throws(RankerError) -> BoosterHandle {
        var made: BoosterHandle?
        try check("no booster could be made") {
            unsafe XGBoosterCreate(matrices, bst_ulong(matrices.count), &made)
        }
        guard let made = unsafe made else { throw RankerError(.failed, "no booster could be made") }
        return unsafe made
    }

    private func configure(_ parameters: [(String, String)]) throws(RankerError) {
        for (key, value) in parameters {
            try Self.check("a parameter is refused") { unsafe XGBoosterSetParam(raw, key, value) }
        }
    }

    /// How many columns the model was trained with.
    package var columns: Int {
        get throws(RankerError) {
            var count: bst_ulong = 0
            try Self.check("the model has no columns", .corrupt) { unsafe XGBoosterGetNumFeature(raw, &count) }
            return Int(clamping: count)
        }
    }

    /// How many rounds of boosting the model holds.
    package var rounds: Int {
        get throws(RankerError) {
            var count: Int32 = 0
            try Self.check("the model has no rounds", .corrupt) { unsafe XGBoosterBoostedRounds(raw, &count) }
            return Int(count)
        }
    }

    /// Scores of a matrix that lies in memory; NaN is missing. In the library's own numbers, which may be infinite.
    package func predict(_ matrix: FeatureMatrix) throws(RankerError) -> [Float] {
        guard matrix.rows > 0 else { return [] }
        return try unsafe matrix.values.withUnsafeBufferPointer { values throws(RankerError) in
            let address = UInt(bitPattern: values.baseAddress)
            let array =
                #"{"data":[\#(address),true],"shape":[\#(matrix.rows),\#(matrix.columns)],"typestr":"<f4","version":3}"#
            return try unsafe Self.collect(matrix.rows) { shape, dimensions, result in
                unsafe XGBoosterPredictFromDense(raw, array, Self.prediction, proxy, shape, dimensions, result)
            }
        }
    }

    private static let prediction = """
        {"type":0,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false,"missing":NaN,\
        "cache_id":0}
        """

    /// Copies the scores out of the library's buffer, which the next call on this thread reuses.
    static func collect(
        _ rows: Int,
        _ call: (
            UnsafeMutablePointer<UnsafePointer<bst_ulong>?>, UnsafeMutablePointer<bst_ulong>,
            UnsafeMutablePointer<UnsafePointer<Float>?>
        ) -> Int32
    ) throws(RankerError) -> [Float] {
        var shape: UnsafePointer<bst_ulong>?
        var dimensions: bst_ulong = 0
        var result: UnsafePointer<Float>?
        try check("the model can't score") { unsafe call(&shape, &dimensions, &result) }
        var count = 1
        for index in 0..<min(4, Int(clamping: dimensions)) {
            count = unsafe count.multipliedReportingOverflow(by: Int(clamping: shape?[index] ?? 0)).partialValue
        }
        guard let result = unsafe result, count == rows else {
            throw RankerError(.mismatch, "the model gives not one score a row", detail: "\(count) for \(rows) rows")
        }
        return unsafe Array(UnsafeBufferPointer(start: result, count: count))
    }

    /// Runs a call of the library, whose error text belongs to this thread until its next call.
    static func check(
        _ message: StaticString, _ code: RankerError.Code = .failed, _ call: () -> Int32
    ) throws(RankerError) {
        guard call() != 0 else { return }
        let text = unsafe XGBGetLastError().map { unsafe String(cString: $0) } ?? ""
        // The first line says what; behind it stands a stack trace.
        let line = text.split(separator: "\n").first.map { String($0.prefix(300)) } ?? "no reason given"
        throw RankerError(code, message, detail: line)
    }
}

extension Booster {
    /// One round of boosting.
    func update(round: Int, matrix: DMatrixHandle) throws(RankerError) {
        try Self.check("a round of training failed") {
            unsafe XGBoosterUpdateOneIter(raw, Int32(clamping: round), matrix)
        }
    }

    /// Scores of a matrix of training, which the library adds up from round to round.
    func predict(_ matrix: DMatrixHandle, rows: Int) throws(RankerError) -> [Float] {
        try unsafe Self.collect(rows) { shape, dimensions, result in
            unsafe XGBoosterPredictFromDMatrix(
                raw, matrix, #"{"type":0,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false}"#,
                shape, dimensions, result)
        }
    }

    /// The first rounds of the model, as UBJSON.
    func model(rounds: Int) throws(RankerError) -> [UInt8] {
        var sliced: BoosterHandle?
        try Self.check("the rounds can't be cut off") {
            unsafe XGBoosterSlice(raw, 0, Int32(clamping: rounds), 1, &sliced)
        }
        defer { unsafe XGBoosterFree(sliced) }
        var length: bst_ulong = 0
        var bytes: UnsafePointer<CChar>?
        try Self.check("the model can't be written") {
            unsafe XGBoosterSaveModelToBuffer(sliced, #"{"format":"ubj"}"#, &length, &bytes)
        }
        guard let bytes = unsafe bytes else { throw RankerError(.failed, "the model can't be written") }
        return unsafe Array(UnsafeRawBufferPointer(start: bytes, count: Int(length)))
    }
}

/// The boosters of one model: each is used by one caller at a time.
///
/// There are as many as tasks can run at once, so that one is free unless scoring is called from elsewhere too.
final class BoosterPool: Sendable {
    private let free: Mutex<[Booster]>

    init(_ boosters: [Booster]) {
        free = Mutex(boosters)
    }

    /// Scores with a free booster.
    ///
    /// - Throws: `overloaded` when each is in use.
    func predict(_ matrix: FeatureMatrix) throws(RankerError) -> [Float] {
        guard let booster = free.withLock({ $0.popLast() }) else {
            throw RankerError(.overloaded, "every booster is in use")
        }
        defer { free.withLock { $0.append(booster) } }
        return try booster.predict(matrix)
    }
}
