internal import RedisClient
internal import RowCodec

/// The one script that writes rows: newest wins, value and expiry in one step, as many rows in a call as fit.
///
/// `KEYS` are the row keys and, unless it only compares or pushes, the token hash behind them: a call under an older lease writes
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
        case .push: "push"
        }
    }

    static let script = RedisScript(
        """
        local call, sub, byte, unpack = redis.call, string.sub, string.byte, struct.unpack
        local mode, rows = ARGV[1], #KEYS
        local newest, writes, pushes = mode == 'newest', mode ~= 'compare', mode == 'push'
        if writes and not pushes then
          rows = rows - 1
          if call('HGET', KEYS[rows + 1], ARGV[2]) ~= ARGV[3] then
            return redis.error_reply('FENCED a newer lease exists')
          end
        end

        local function isRow(stored)
          if type(stored) ~= 'string' then return false end
          local first = byte(stored, 1)
          if not first or first < 16 or first > 31 or #stored > \(RowFormat.maximumRowBytes) then return false end
          if first >= 24 and first % 4 < 2 then return false end
          return #stored >= \(RowFormat.minimumRowBytes) + (first % 4 >= 2 and 8 or 0)
        end

        -- 1, 0 or -1: whether the first is the greater.
        local function order(high1, low1, high2, low2)
          if high1 ~= high2 then return high1 > high2 and 1 or -1 end
          if low1 ~= low2 then return low1 > low2 and 1 or -1 end
          return 0
        end

        -- How the epochs stand, and how epochs and positions do.
        local function place(stored, row)
          local epoch1, high1, low1 = unpack('>I2I4I4', stored, 2)
          local epoch2, high2, low2 = unpack('>I2I4I4', row, 2)
          local epochs = order(epoch1, 0, epoch2, 0)
          return epochs, epochs ~= 0 and epochs or order(high1, low1, high2, low2)
        end

        -- How the event times stand; nil unless both have one.
        local function event(stored, row)
          if byte(stored, 1) % 4 < 2 or byte(row, 1) % 4 < 2 then return nil end
          local high1, low1 = unpack('>I4I4', stored, 12)
          local high2, low2 = unpack('>I4I4', row, 12)
          return order(high1, low1, high2, low2)
        end

        -- How the stored row stands to a row of the source.
        local function standing(stored, row)
          local pushed, events = byte(stored, 1) >= 24, event(stored, row)
          local epochs, places = place(stored, row)
          if newest then
            if pushed and events then
              if events ~= 0 then return events end
              return places == 0 and 1 or places
            end
            if epochs ~= 0 then return epochs end
            return events and events ~= 0 and events or places
          end
          if pushed and (not events or events > 0) then return 1 end
          return places > 0 and 1 or -1
        end

        local function isSame(stored, row)
          if stored == row then return true end
          if #stored ~= #row or byte(stored, 1) % 8 ~= byte(row, 1) % 8 then return false end
          if byte(row, 1) % 4 < 2 then return sub(stored, 16) == sub(row, 16) end
          return sub(stored, 12, 19) == sub(row, 12, 19) and sub(stored, 24) == sub(row, 24)
        end

        -- The outcome, and what is done: 0 nothing, 1 the expiry is renewed, 2 the row is put.
        local function judgePush(stored, row)
          local events = event(stored, row)
          if events and events > 0 then return 0, 0 end
          if not events and byte(stored, 1) % 2 == 1 then return 0, 0 end
          local _, places = place(stored, row)
          if places > 0 then return 4, 0 end
          if isSame(stored, row) then return 2, 1 end
          return 3, 2
        end

        local function judge(stored, row)
          if not stored then return 1, 2 end
          if not isRow(stored) then return 3, 2 end
          if pushes then return judgePush(stored, row) end
          local standing = standing(stored, row)
          if standing > 0 then return 0, 0 end
          if isSame(stored, row) then return 2, (standing == 0 or stored == row) and 1 or 2 end
          if standing == 0 then return 4, 1 end
          return 3, 2
        end

        local outcomes = {}
        for i = 1, rows do
          local key, row, ttl = KEYS[i], ARGV[2 * i + 2], ARGV[2 * i + 3]
          local stored = redis.pcall('GET', key)
          if type(stored) == 'table' and not string.find(stored.err, 'WRONGTYPE', 1, true) then
            stored = call('GET', key)
          end
          local outcome, act = judge(stored, row)
          if writes and act > 0 then
            if act == 1 then call('PEXPIRE', key, ttl) else call('SET', key, row, 'PX', ttl) end
          end
          outcomes[i] = outcome
        end
        return table.concat(outcomes)
        """)
}
