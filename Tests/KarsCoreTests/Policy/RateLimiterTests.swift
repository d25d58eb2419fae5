import KarsCore
import Testing

@Suite struct `Rate limiter` {
    static let start = Instant(nanoseconds: 5_000_000_000)

    static func limiter(_ change: (inout RateLimiter.Config) -> Void = { _ in }) -> RateLimiter {
        var config = RateLimiter.Config()
        change(&config)
        return RateLimiter(config, now: start)
    }

    @Test func `a principal may burst and then gets its steady rate`() {
        let limiter = Self.limiter()
        for _ in 0..<100 { #expect(limiter.admit(principal: "a", now: Self.start) == nil) }
        let refusal = limiter.admit(principal: "a", now: Self.start)
        #expect(refusal?.status == 429)
        #expect(refusal?.stage == .rate)
        #expect(refusal?.retryAfter == .milliseconds(20))
        #expect(limiter.admit(principal: "b", now: Self.start) == nil)
        #expect(limiter.admit(principal: "a", now: Self.start.advanced(by: .milliseconds(20))) == nil)
        #expect(limiter.admit(principal: "a", now: Self.start.advanced(by: .milliseconds(20))) != nil)
    }

    @Test func `a call that the principal's bucket refuses does not cost the others`() {
        let limiter = Self.limiter {
            $0.globalBurst = 2
            $0.globalPerSecond = 0
            $0.principalBurst = 1
        }
        #expect(limiter.admit(principal: "a", now: Self.start) == nil)
        for _ in 0..<10 { #expect(limiter.admit(principal: "a", now: Self.start) != nil) }
        #expect(limiter.admit(principal: "b", now: Self.start) == nil)
        #expect(limiter.admit(principal: "c", now: Self.start)?.reason.contains("router") == true)
    }

    @Test func `beyond the bound newcomers share one bucket`() {
        let limiter = Self.limiter {
            $0.maxPrincipals = 1
            $0.principalBurst = 1
        }
        #expect(limiter.admit(principal: "a", now: Self.start) == nil)
        #expect(limiter.admit(principal: "b", now: Self.start) == nil)
        #expect(limiter.admit(principal: "c", now: Self.start) != nil)
    }

    @Test func `a clock that stands still or goes back gives no tokens`() {
        let limiter = Self.limiter { $0.principalBurst = 1 }
        #expect(limiter.admit(principal: "a", now: Self.start) == nil)
        #expect(limiter.admit(principal: "a", now: Instant(nanoseconds: 0)) != nil)
    }

    @Test func `each tool has its own window`() {
        let limiter = Self.limiter {
            $0.toolMaxCalls = 2
            $0.toolWindow = .seconds(10)
        }
        #expect(limiter.admit(tool: "search", principal: "a", now: Self.start) == nil)
        #expect(limiter.admit(tool: "search", principal: "a", now: Self.start.advanced(by: .seconds(4))) == nil)
        #expect(
            limiter.admit(tool: "search", principal: "a", now: Self.start.advanced(by: .seconds(5)))?.retryAfter == .seconds(5))
        #expect(limiter.admit(tool: "fetch", principal: "a", now: Self.start.advanced(by: .seconds(5))) == nil)
        #expect(limiter.admit(tool: "search", principal: "a", now: Self.start.advanced(by: .seconds(10))) == nil)
    }

    @Test func `inventing tool names opens no fresh windows once the table is full`() {
        let limiter = Self.limiter {
            $0.toolMaxCalls = 3
            $0.maxToolKeys = 10
        }
        var admitted = 0
        for index in 0..<1_000 where limiter.admit(tool: "t\(index)", principal: "a", now: Self.start) == nil { admitted += 1 }
        #expect(admitted == 13)
        // When all of them are past, there is room again.
        #expect(limiter.admit(tool: "fresh", principal: "a", now: Self.start.advanced(by: .seconds(61))) == nil)
    }

    @Test(arguments: [1, 3, 64, 200, 5_000])
    func `no stretch of the window's length holds more calls than the limit`(limit: Int) {
        let limiter = Self.limiter {
            $0.toolMaxCalls = limit
            $0.toolWindow = .seconds(10)
        }
        var accepted: [Instant] = []
        var now = Self.start
        for step in 0..<20_000 {
            now = now.advanced(by: .microseconds(step % 97 == 0 ? 90_000 : 400))
            if limiter.admit(tool: "t", principal: "a", now: now) == nil { accepted.append(now) }
        }
        #expect(accepted.count > limit)
        for (index, time) in accepted.enumerated() where index >= limit {
            #expect(time.duration(since: accepted[index - limit]) >= .seconds(10))
        }
    }
}
