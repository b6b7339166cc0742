package access

// A Truth is an answer that may not be known. The zero Truth is Unknown.
type Truth uint8

// The answers.
const (
	Unknown Truth = iota
	No
	Yes
)

// and is Yes if both are, No if either is No.
func and(a, b Truth) Truth {
	switch {
	case a == No || b == No:
		return No
	case a == Yes && b == Yes:
		return Yes
	}
	return Unknown
}

// or is Yes if either is, No if both are No.
func or(a, b Truth) Truth {
	switch {
	case a == Yes || b == Yes:
		return Yes
	case a == No && b == No:
		return No
	}
	return Unknown
}

// not turns Yes into No and No into Yes.
func not(a Truth) Truth {
	switch a {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Unknown
}

func truth(b bool) Truth {
	if b {
		return Yes
	}
	return No
}
