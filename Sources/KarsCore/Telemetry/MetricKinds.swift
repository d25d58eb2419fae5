import Synchronization

// The three kinds of metric, each as a cell (one series) and as a table of cells addressed by label values. A table of
// arity 0 is its cell.

/// Goes up only. One atomic addition per event.
package final class Counter: MetricCell {
    private let value = Atomic<UInt64>(0)

    package var current: UInt64 { value.load(ordering: .relaxed) }

    package func increment(by amount: UInt64 = 1) { value.wrappingAdd(amount, ordering: .relaxed) }

    func append(name: String, labels: String, to text: inout [UInt8]) {
        text.appendSample(name, labels: labels, String(current))
    }
}

/// A value that goes up and down.
package final class Gauge: MetricCell {
    private let bits = Atomic<UInt64>(0)

    package var current: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    package func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    package func add(_ delta: Double) { addDouble(delta, to: bits) }

    func append(name: String, labels: String, to text: inout [UInt8]) {
        text.appendSample(name, labels: labels, metricNumber(current))
    }
}

/// A gauge whose value is asked for at each scrape. `read` must not block.
private struct ReadGauge: MetricCell {
    let read: @Sendable () -> Double

    func append(name: String, labels: String, to text: inout [UInt8]) {
        text.appendSample(name, labels: labels, metricNumber(read()))
    }
}

/// Counts observations in buckets; `observe` is a short search and three atomics.
package final class Histogram: MetricCell {
    /// Upper bounds, ascending; the bucket above the last is implied.
    private let bounds: [Double]
    private let buckets: [Counter]
    private let sum = Atomic<UInt64>(0)

    init(bounds: [Double]) {
        precondition(!bounds.isEmpty && zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "buckets must ascend")
        self.bounds = bounds
        buckets = (0...bounds.count).map { _ in Counter() }
    }

    package var count: UInt64 { buckets.reduce(0) { $0 + $1.current } }

    package func observe(_ value: Double) {
        var index = 0
        while index < bounds.count, value > bounds[index] { index += 1 }
        buckets[index].increment()
        addDouble(value, to: sum)
    }

    package func observe(_ duration: Duration) { observe(duration.inSeconds) }

    func append(name: String, labels: String, to text: inout [UInt8]) {
        let prefix = labels.isEmpty ? "" : labels + ","
        var total: UInt64 = 0
        for (index, bucket) in buckets.enumerated() {
            total += bucket.current
            let bound = index < bounds.count ? metricNumber(bounds[index]) : "+Inf"
            text.appendSample(name, "_bucket", labels: "\(prefix)le=\"\(bound)\"", String(total))
        }
        text.appendSample(name, "_sum", labels: labels, metricNumber(Double(bitPattern: sum.load(ordering: .relaxed))))
        text.appendSample(name, "_count", labels: labels, String(total))
    }
}

private func addDouble(_ delta: Double, to bits: borrowing Atomic<UInt64>) {
    var old = bits.load(ordering: .relaxed)
    while true {
        let new = (Double(bitPattern: old) + delta).bitPattern
        let (exchanged, seen) = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
        if exchanged { return }
        old = seen
    }
}

/// Series by one label.
package struct MetricBy1<Cell: Sendable, A: Sendable>: Sendable {
    let cells: [Cell]
    let a: Label<A>

    /// The series itself, for callers that use it often.
    package subscript(value: A) -> Cell { cells[a.index(value)] }
}

/// Series by two labels.
package struct MetricBy2<Cell: Sendable, A: Sendable, B: Sendable>: Sendable {
    let cells: [Cell]
    let a: Label<A>
    let b: Label<B>

    package subscript(first: A, second: B) -> Cell {
        cells[a.index(first) * b.declared.values.count + b.index(second)]
    }
}

/// Series by three labels.
package struct MetricBy3<Cell: Sendable, A: Sendable, B: Sendable, C: Sendable>: Sendable {
    let cells: [Cell]
    let a: Label<A>
    let b: Label<B>
    let c: Label<C>

    package subscript(first: A, second: B, third: C) -> Cell {
        let row = a.index(first) * b.declared.values.count + b.index(second)
        return cells[row * c.declared.values.count + c.index(third)]
    }
}

// MARK: - Registration

extension Metrics {
    package typealias Constants = [(String, String)]

    package func counter(_ name: StaticString, _ help: StaticString, constants: Constants = []) -> Counter {
        make(name, help, .counter, [], constants) { Counter() }[0]
    }

    package func counter<A>(
        _ name: StaticString, _ help: StaticString, by a: Label<A>, constants: Constants = []
    ) -> MetricBy1<Counter, A> {
        MetricBy1(cells: make(name, help, .counter, [a.declared], constants) { Counter() }, a: a)
    }

    package func counter<A, B>(
        _ name: StaticString, _ help: StaticString, by a: Label<A>, _ b: Label<B>, constants: Constants = []
    ) -> MetricBy2<Counter, A, B> {
        MetricBy2(cells: make(name, help, .counter, [a.declared, b.declared], constants) { Counter() }, a: a, b: b)
    }

    package func counter<A, B, C>(
        _ name: StaticString, _ help: StaticString, by a: Label<A>, _ b: Label<B>, _ c: Label<C>, constants: Constants = []
    ) -> MetricBy3<Counter, A, B, C> {
        let cells = make(name, help, .counter, [a.declared, b.declared, c.declared], constants) { Counter() }
        return MetricBy3(cells: cells, a: a, b: b, c: c)
    }

    package func gauge(_ name: StaticString, _ help: StaticString, constants: Constants = []) -> Gauge {
        make(name, help, .gauge, [], constants) { Gauge() }[0]
    }

    package func gauge<A>(
        _ name: StaticString, _ help: StaticString, by a: Label<A>, constants: Constants = []
    ) -> MetricBy1<Gauge, A> {
        MetricBy1(cells: make(name, help, .gauge, [a.declared], constants) { Gauge() }, a: a)
    }

    package func gauge<A, B>(
        _ name: StaticString, _ help: StaticString, by a: Label<A>, _ b: Label<B>, constants: Constants = []
    ) -> MetricBy2<Gauge, A, B> {
        MetricBy2(cells: make(name, help, .gauge, [a.declared, b.declared], constants) { Gauge() }, a: a, b: b)
    }

    /// A gauge that asks `read` at each scrape, from the thread that scrapes.
    package func gauge(
        _ name: StaticString, _ help: StaticString, constants: Constants = [], read: @escaping @Sendable () -> Double
    ) {
        _ = make(name, help, .gauge, [], constants) { ReadGauge(read: read) }
    }

    package func histogram(
        _ name: StaticString, _ help: StaticString, buckets: [Double], constants: Constants = []
    ) -> Histogram {
        make(name, help, .histogram, [], constants) { Histogram(bounds: buckets) }[0]
    }

    package func histogram<A>(
        _ name: StaticString, _ help: StaticString, buckets: [Double], by a: Label<A>, constants: Constants = []
    ) -> MetricBy1<Histogram, A> {
        MetricBy1(cells: make(name, help, .histogram, [a.declared], constants) { Histogram(bounds: buckets) }, a: a)
    }

    package func histogram<A, B>(
        _ name: StaticString, _ help: StaticString, buckets: [Double], by a: Label<A>, _ b: Label<B>, constants: Constants = []
    ) -> MetricBy2<Histogram, A, B> {
        let cells = make(name, help, .histogram, [a.declared, b.declared], constants) { Histogram(bounds: buckets) }
        return MetricBy2(cells: cells, a: a, b: b)
    }

    private func make<Cell: MetricCell>(
        _ name: StaticString, _ help: StaticString, _ kind: MetricFamily.Kind, _ labels: [LabelValues], _ constants: Constants,
        _ cell: () -> Cell
    ) -> [Cell] {
        let cells = register(name, help, kind, labels: labels, constants: constants).map { _ in cell() }
        attach(cells, to: name)
        return cells
    }
}
