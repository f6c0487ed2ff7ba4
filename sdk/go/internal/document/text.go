package document

import "unicode/utf8"

// Text encodes a string as JSON, and replaces bytes that are not UTF-8.
func Text(text string) []byte {
	return appendText(make([]byte, 0, len(text)+2), text)
}

func appendText(out []byte, text string) []byte {
	const digits = "0123456789abcdef"
	out = append(out, '"')
	from := 0
	for index, r := range text {
		if r >= ' ' && r != '"' && r != '\\' && r != utf8.RuneError {
			continue
		}
		out = append(out, text[from:index]...)
		_, size := utf8.DecodeRuneInString(text[index:])
		from = index + size
		switch {
		case r == utf8.RuneError:
			out = utf8.AppendRune(out, r)
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r == '\n':
			out = append(out, '\\', 'n')
		default:
			out = append(out, '\\', 'u', '0', '0', digits[r>>4], digits[r&0xf])
		}
	}
	return append(append(out, text[from:]...), '"')
}
