package clinic

// MaxReason bounds a reason in words, in UTF-16 units.
const MaxReason = 500

// ErasureReason returns the reason for erasing a patient in the form in which the audit
// trail keeps it. Errors: CodeValidationFailed.
func ErasureReason(reason string) (string, error) {
	reason = Text(reason)
	vs := checkLength(nil, "#/reason", reason, MaxReason)
	if reason == "" {
		vs = append(vs, Violation{Pointer: "#/reason", Code: "min_length", Detail: "must not be blank"})
	}
	return reason, invalid(vs)
}
