/// Finds every pattern that begins a text in one walk over it: a radix trie flattened into arrays.
///
/// Built once from operators' patterns; look-ups allocate nothing and take time in the length of the text, not in the
/// number of patterns.
struct PatternTrie: Sendable {
    /// What a pattern stands for; the owner chooses the number.
    typealias Entry = UInt32

    private struct Node: Sendable {
        /// Bytes that lead from the parent to here, in `bytes`.
        var label: Range<Int32>
        /// Children in `nodes`, side by side, ordered by first byte.
        var children: Range<Int32> = 0..<0
        /// In `entries`: patterns that end here and reach on (`inference:*`).
        var prefixes: Range<Int32> = 0..<0
        /// In `entries`: patterns that end here (`inference:models`).
        var exacts: Range<Int32> = 0..<0
    }

    private var bytes: [UInt8] = []
    private var nodes: [Node] = []
    private var entries: [Entry] = []

    struct Pattern {
        var stem: [UInt8]
        var isPrefix: Bool
        var entry: Entry
    }

    init(_ patterns: [Pattern] = []) {
        let sorted = patterns.sorted {
            $0.stem == $1.stem ? $0.entry < $1.entry : $0.stem.lexicographicallyPrecedes($1.stem)
        }
        nodes.append(Node(label: 0..<0))
        fill(node: 0, with: sorted[...], depth: 0)
    }

    /// Patterns in `group` share their first `depth` bytes, which is where `node` sits.
    private mutating func fill(node: Int, with group: ArraySlice<Pattern>, depth: Int) {
        let here = group.prefix { $0.stem.count == depth }
        nodes[node].prefixes = store(here.filter(\.isPrefix).map(\.entry))
        nodes[node].exacts = store(here.filter { !$0.isPrefix }.map(\.entry))
        var branches: [ArraySlice<Pattern>] = []
        var rest = group.dropFirst(here.count)
        while let first = rest.first {
            let branch = rest.prefix { $0.stem[depth] == first.stem[depth] }
            branches.append(branch)
            rest = rest.dropFirst(branch.count)
        }
        let firstChild = nodes.count
        nodes[node].children = Int32(firstChild)..<Int32(firstChild + branches.count)
        var depths: [Int] = []
        for branch in branches {
            guard let first = branch.first, let last = branch.last else { continue }
            // Sorted, so what the first and the last share, all share.
            var end = depth + 1
            while end < first.stem.count, end < last.stem.count, first.stem[end] == last.stem[end] { end += 1 }
            let start = Int32(bytes.count)
            bytes += first.stem[depth..<end]
            nodes.append(Node(label: start..<Int32(bytes.count)))
            depths.append(end)
        }
        for (offset, branch) in branches.enumerated() { fill(node: firstChild + offset, with: branch, depth: depths[offset]) }
    }

    private mutating func store(_ found: [Entry]) -> Range<Int32> {
        let start = Int32(entries.count)
        entries += found
        return start..<Int32(entries.count)
    }

    /// Calls `visit` for each pattern whose stem begins `text`, with the stem's length and whether the pattern reaches on.
    @inline(__always)
    func visitMatches(of text: UnsafeBufferPointer<UInt8>, _ visit: (_ entry: Entry, _ length: Int, _ isPrefix: Bool) -> Void) {
        var node = nodes[0]
        var position = 0
        while true {
            for index in node.prefixes { visit(entries[Int(index)], position, true) }
            for index in node.exacts { visit(entries[Int(index)], position, false) }
            guard position < text.count, let next = child(of: node, for: text[position]) else { return }
            let label = nodes[next].label
            guard text.count - position >= label.count else { return }
            var offset = 1
            while offset < label.count {
                guard bytes[Int(label.lowerBound) + offset] == text[position + offset] else { return }
                offset += 1
            }
            position += label.count
            node = nodes[next]
        }
    }

    private func child(of node: Node, for byte: UInt8) -> Int? {
        var low = Int(node.children.lowerBound)
        var high = Int(node.children.upperBound)
        while low < high {
            let middle = (low + high) / 2
            let first = bytes[Int(nodes[middle].label.lowerBound)]
            if first == byte { return middle }
            if first < byte { low = middle + 1 } else { high = middle }
        }
        return nil
    }
}
