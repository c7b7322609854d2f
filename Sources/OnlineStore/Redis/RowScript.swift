internal import RedisClient
internal import RowCodec

/// The one script that writes rows: newest wins, value and expiry in one step, as many rows in a call as fit.
///
/// `KEYS` are the row keys and, unless it only compares, the token hash behind them: a call under an older lease writes
/// nothing. `ARGV` is the mode, the lease's name and token, then a packed row and its TTL in milliseconds for each row key.
/// The answer is one digit a row: `WriteOutcome`.
///
/// It says in Lua what `RowPrecedence` says in Swift. Numbers are compared in pieces of 32 bits, which Lua's doubles hold
/// exactly; Lua's own order of strings follows the server's locale and is never used. Whatever else is stored under the key
/// (another type, another format) is no row of ours and is replaced. Texts of errors are literals: what a client sends
/// never comes back in one (CVE-2025-67733).
enum RowScript {
    /// Rows a call at most: a call holds up the server for about 0.2 ms.
    static let rowsPerCall = 64
    /// The first word of the error that tells that the lease is no longer the newest.
    static let fencedPrefix = "FENCED"

    /// The spelling of a mode in `ARGV`.
    static func spelling(_ mode: WriteMode) -> String {
        switch mode {
        case .newest: "newest"
        case .repair: "repair"
        case .compare: "compare"
        }
    }

    static let script = RedisScript(
        """
        local call, sub, byte, unpack = redis.call, string.sub, string.byte, struct.unpack
        local mode, rows = ARGV[1], #KEYS
        if mode ~= 'compare' then
          rows = rows - 1
          if call('HGET', KEYS[rows + 1], ARGV[2]) ~= ARGV[3] then
            return redis.error_reply('FENCED a newer lease exists')
          end
        end
        local newest, writes = mode == 'newest', mode ~= 'compare'

        local function isRow(stored)
          if type(stored) ~= 'string' then return false end
          local first = byte(stored, 1)
          if not first or first < 16 or first > 23 or #stored > \(RowFormat.maximumRowBytes) then return false end
          return #stored >= \(RowFormat.minimumRowBytes) + (first % 4 >= 2 and 8 or 0)
        end

        local function eventTime(row)
          return unpack('>I4I4', row, 12)
        end

        local function isLater(stored, row)
          local epoch1, high1, low1 = unpack('>I2I4I4', stored, 2)
          local epoch2, high2, low2 = unpack('>I2I4I4', row, 2)
          if epoch1 ~= epoch2 then return epoch1 > epoch2, false end
          if newest and byte(stored, 1) % 4 >= 2 and byte(row, 1) % 4 >= 2 then
            local eventHigh1, eventLow1 = eventTime(stored)
            local eventHigh2, eventLow2 = eventTime(row)
            if eventHigh1 ~= eventHigh2 then return eventHigh1 > eventHigh2, false end
            if eventLow1 ~= eventLow2 then return eventLow1 > eventLow2, false end
          end
          if high1 ~= high2 then return high1 > high2, false end
          return low1 > low2, low1 == low2
        end

        local function isSame(stored, row)
          if stored == row then return true end
          if #stored ~= #row or byte(stored, 1) ~= byte(row, 1) then return false end
          if byte(row, 1) % 4 < 2 then return sub(stored, 16) == sub(row, 16) end
          return sub(stored, 12, 19) == sub(row, 12, 19) and sub(stored, 24) == sub(row, 24)
        end

        -- The outcome, and whether the stored bytes stay.
        local function judge(stored, row)
          if not stored then return 1 end
          if not isRow(stored) then return 3 end
          local later, equal = isLater(stored, row)
          if later then return 0, true end
          if isSame(stored, row) then return 2, newest and equal or stored == row end
          if equal and newest then return 4, true end
          return 3
        end

        local outcomes = {}
        for i = 1, rows do
          local key, row, ttl = KEYS[i], ARGV[2 * i + 2], ARGV[2 * i + 3]
          local stored = redis.pcall('GET', key)
          if type(stored) == 'table' and not string.find(stored.err, 'WRONGTYPE', 1, true) then
            stored = call('GET', key)
          end
          local outcome, stays = judge(stored, row)
          if writes and outcome > 0 then
            if stays then call('PEXPIRE', key, ttl) else call('SET', key, row, 'PX', ttl) end
          end
          outcomes[i] = outcome
        end
        return table.concat(outcomes)
        """)
}
