/// Restrictions that several kinds put on their texts.
extension StructuralSchema {
    /// An identifier of Entra and of Azure's role definitions.
    package func guid() -> StructuralSchema { with(\.maxLength, 36).matching(SchemaText.guidPattern) }

    /// The name of a namespace or of another object that is a DNS label.
    package func dnsLabel() -> StructuralSchema {
        with(\.minLength, 1).with(\.maxLength, 63).matching("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    }

    /// The name of any object (DNS-1123 subdomain).
    package func objectName() -> StructuralSchema { with(\.minLength, 1).with(\.maxLength, 253).matching(ObjectName.pattern) }

    /// Text for people that cannot drive a terminal: of the control characters only tabs and line ends.
    package func plainText(_ length: ClosedRange<Int>) -> StructuralSchema {
        with(\.minLength, length.lowerBound == 0 ? nil : length.lowerBound).with(\.maxLength, length.upperBound)
            .ruled(.init(SchemaText.plainRule, message: "only printable text, tabs and line ends"))
    }

    /// An address of HTTPS without a space in it.
    package func httpsURL() -> StructuralSchema { with(\.maxLength, 2_048).matching("^https://[^[:space:]]+$") }

    package func ruled(_ rule: Rule) -> StructuralSchema { with(\.rules, self.rules + [rule]) }
}

/// Tests of texts, for those who hold them to the same without a server.
package enum SchemaText {
    static let guidPattern = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
    static let plainRule = #"!self.matches('[\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F]')"#

    /// What `plainRule` asks.
    package static func isPlain(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { scalar in
            switch scalar.value {
            case 0x09, 0x0a, 0x0d: true
            case 0..<0x20, 0x7f: false
            default: true
            }
        }
    }
}
