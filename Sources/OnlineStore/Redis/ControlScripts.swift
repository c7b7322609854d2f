internal import RedisClient

/// The scripts behind leases, markers, documents, journals and collections. Each is one atomic step; none puts anything
/// that a client sent into the text of an error.
enum ControlScripts {
    /// Every script of the store, for loading on connect.
    static let all = [
        RowScript.script, acquireLease, renewLease, releaseLease, advance, replaceDocument, appendEntry, putFields,
    ]

    /// KEYS: lease, tokens. ARGV: name, owner, milliseconds. Returns the token, or null when another owner holds it.
    ///
    /// The server's clock keeps tokens rising even when the hash of tokens is lost.
    static let acquireLease = RedisScript(
        """
        local held = redis.call('GET', KEYS[1])
        if held then
          local blank = string.find(held, ' ', 1, true)
          if blank and string.sub(held, blank + 1) ~= ARGV[2] then return false end
        end
        local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0') or 0
        local token = string.format('%.0f', math.max(last + 1, tonumber(redis.call('TIME')[1])))
        redis.call('HSET', KEYS[2], ARGV[1], token)
        redis.call('SET', KEYS[1], token .. ' ' .. ARGV[2], 'PX', ARGV[3])
        return token
        """)

    /// KEYS: lease, tokens. ARGV: name, `<token> <owner>`, token, milliseconds. Returns whether it is held.
    ///
    /// A lease that expired is taken up again as long as nobody got a newer token.
    static let renewLease = RedisScript(
        """
        if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[3] then return 0 end
        local held = redis.call('GET', KEYS[1])
        if held and held ~= ARGV[2] then return 0 end
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
        return 1
        """)

    /// KEYS: lease, tokens. ARGV: name, token.
    ///
    /// Uses up the next token too, so that the lease can't be taken up again and whoever still writes under it is fenced.
    static let releaseLease = RedisScript(
        """
        if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
        redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
        redis.call('DEL', KEYS[1])
        return 1
        """)

    /// KEYS: tokens, marker. ARGV: lease name, token, expected sequence, sequence, bytes.
    /// Returns 1, 0 when fenced, -1 when the marker moved.
    static let advance = RedisScript(
        """
        if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
        if (redis.call('HGET', KEYS[2], 'sequence') or '0') ~= ARGV[3] then return -1 end
        redis.call('HSET', KEYS[2], 'sequence', ARGV[4], 'bytes', ARGV[5])
        return 1
        """)

    /// KEYS: document. ARGV: expected revision, revision, bytes. Returns whether it was replaced.
    static let replaceDocument = RedisScript(
        """
        if (redis.call('HGET', KEYS[1], 'revision') or '0') ~= ARGV[1] then return 0 end
        redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'bytes', ARGV[3])
        return 1
        """)

    /// KEYS: journal. ARGV: entry, index of the last entry kept.
    static let appendEntry = RedisScript(
        """
        redis.call('LPUSH', KEYS[1], ARGV[1])
        redis.call('LTRIM', KEYS[1], 0, ARGV[2])
        return 1
        """)

    /// KEYS: collection. ARGV: limit, then field and value in turn. Returns whether they were put.
    static let putFields = RedisScript(
        """
        local count = redis.call('HLEN', KEYS[1])
        for i = 2, #ARGV, 2 do
          if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then count = count + 1 end
        end
        if count > tonumber(ARGV[1]) then return 0 end
        for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
        return 1
        """)
}
