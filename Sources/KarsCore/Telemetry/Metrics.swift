import Synchronization

/// Counters, gauges and histograms of one process, and their Prometheus text (exposition format 0.0.4).
///
/// Every label has its values declared when the metric is made, so a series is an array index and an atomic: recording takes
/// no lock, allocates nothing, and nothing a client sends can grow memory or become a label. All metrics are registered at
/// start-up, before the first scrape; names and labels are literals, so a wrong one is a bug and traps.
package final class Metrics: Sendable {
    /// `Content-Type` of `text()`.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Most series one metric may have; reached only by declaring too many label values.
    package static let maxSeriesPerMetric = 4096

    private let families = Mutex<[MetricFamily]>([])

    package init() {}

    /// The current values of everything, in the order of registration.
    package func text() -> [UInt8] {
        let families = families.withLock { $0 }
        var text: [UInt8] = []
        text.reserveCapacity(families.count * 256)
        for family in families { family.append(to: &text) }
        return text
    }

    func register(
        _ name: StaticString, _ help: StaticString, _ type: MetricFamily.Kind, labels: [LabelValues],
        constants: [(String, String)]
    ) -> [SeriesLabels] {
        precondition(MetricFamily.isName(name.description), "\(name) is no metric name")
        for label in labels { precondition(MetricFamily.isName(label.name), "\(label.name) is no label name") }
        let series = SeriesLabels.all(labels, constants: constants)
        precondition(series.count <= Self.maxSeriesPerMetric, "\(name) would have \(series.count) series")
        families.withLock { families in
            precondition(!families.contains { $0.name == name.description }, "\(name) is registered twice")
            families.append(MetricFamily(name: name.description, help: help.description, kind: type, labels: series))
        }
        return series
    }

    func attach(_ cells: [any MetricCell], to name: StaticString) {
        families.withLock { families in
            for index in families.indices where families[index].name == name.description { families[index].cells = cells }
        }
    }
}

/// A label of a metric and all the values it can have.
package struct Label<Value: Sendable>: Sendable {
    let declared: LabelValues
    let index: @Sendable (Value) -> Int

    /// One value per case.
    package init(_ name: StaticString, _ type: Value.Type = Value.self)
    where Value: RawRepresentable<String> & CaseIterable & Hashable {
        let cases = Array(Value.allCases)
        declared = LabelValues(name: name.description, values: cases.map(\.rawValue))
        let indices = Dictionary(zip(cases, cases.indices)) { first, _ in first }
        index = { indices[$0] ?? 0 }
    }

    /// The values known from configuration; whatever else comes counts as `other`.
    package init(_ name: StaticString, declared values: [String], other: String = "other") where Value == String {
        let values = [other] + Set(values).subtracting([other]).sorted()
        declared = LabelValues(name: name.description, values: values)
        let indices = Dictionary(zip(values, values.indices)) { first, _ in first }
        index = { indices[$0] ?? 0 }
    }
}

struct LabelValues: Sendable {
    var name: String
    var values: [String]
}

/// The labels of one series as they appear between the braces, computed once.
struct SeriesLabels: Sendable {
    /// `a="x",b="y"`, or empty.
    var text: String

    /// Every combination; the last label varies fastest, as `CellTable` counts.
    static func all(_ labels: [LabelValues], constants: [(String, String)]) -> [SeriesLabels] {
        var series = [constants.map { pair($0, $1) }]
        for label in labels { series = series.flatMap { prefix in label.values.map { prefix + [pair(label.name, $0)] } } }
        return series.map { SeriesLabels(text: $0.joined(separator: ",")) }
    }

    private static func pair(_ name: String, _ value: String) -> String {
        let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
        return "\(name)=\"\(escaped)\""
    }
}

/// A named metric with its series: what a scrape walks.
struct MetricFamily: Sendable {
    enum Kind: String { case counter, gauge, histogram }

    var name: String
    var help: String
    var kind: Kind
    var labels: [SeriesLabels]
    var cells: [any MetricCell] = []

    init(name: String, help: String, kind: Kind, labels: [SeriesLabels]) {
        self.name = name
        self.help = help
        self.kind = kind
        self.labels = labels
    }

    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
        return text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }

    func append(to text: inout [UInt8]) {
        text.append(
            contentsOf: "# HELP \(name) \(help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n"))\n".utf8)
        text.append(contentsOf: "# TYPE \(name) \(kind.rawValue)\n".utf8)
        for (labels, cell) in zip(labels, cells) { cell.append(name: name, labels: labels.text, to: &text) }
    }
}

/// The value of one series.
protocol MetricCell: Sendable {
    func append(name: String, labels: String, to text: inout [UInt8])
}

extension [UInt8] {
    mutating func appendSample(_ name: String, _ suffix: String = "", labels: String, _ value: String) {
        append(contentsOf: name.utf8)
        append(contentsOf: suffix.utf8)
        if !labels.isEmpty {
            append(UInt8(ascii: "{"))
            append(contentsOf: labels.utf8)
            append(UInt8(ascii: "}"))
        }
        append(UInt8(ascii: " "))
        append(contentsOf: value.utf8)
        append(UInt8(ascii: "\n"))
    }
}

/// A number as Prometheus reads it: whole numbers without a fraction, infinities by name.
func metricNumber(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    if let whole = Int64(exactly: value) { return String(whole) }
    return "\(value)"
}
