package document

import (
	"bytes"
	"math"
	"strconv"
)

// AppendInt appends a whole number.
func AppendInt(out []byte, number int64) []byte {
	return strconv.AppendInt(out, number, 10)
}

// AppendFloat appends a number in the form of a floating-point one: 7 becomes 7.0. It must be finite.
func AppendFloat(out []byte, number float64) []byte {
	start := len(out)
	format := byte('f')
	if size := math.Abs(number); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	out = strconv.AppendFloat(out, number, format, -1, 64)
	if !bytes.ContainsAny(out[start:], ".e") {
		out = append(out, '.', '0')
	}
	return out
}
