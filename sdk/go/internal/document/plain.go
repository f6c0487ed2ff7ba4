package document

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
)

// exact is the first whole number at which a float64 loses precision.
const exact = 1 << 53

// EncodePlain encodes plain data: maps, slices, strings, numbers, booleans, nil, and structs of these.
//
// As in proto3 JSON, bytes are Base64 and dates RFC 3339.
func EncodePlain(value any) ([]byte, error) {
	return encode(reflect.ValueOf(value), plainly{})
}

// DecodePlain decodes a JSON object. Numbers are float64, or json.Number where a float64 would lose digits:
// whole numbers from 2^53 on.
func DecodePlain(text []byte) (map[string]any, error) {
	read, err := readJSON(text)
	if err != nil {
		return nil, fmt.Errorf("the data do not parse: %w", err)
	}
	data, is := withFloats(read).(map[string]any)
	if !is {
		return nil, fmt.Errorf("the data are %.80s, not a map of names to values; hint: a handler over "+
			"*anypb.Any takes them, in a node without `payload: json`", text)
	}
	return data, nil
}

func withFloats(value any) any {
	switch value := value.(type) {
	case json.Number:
		return withFloat(value)
	case map[string]any:
		for key, item := range value {
			value[key] = withFloats(item)
		}
	case []any:
		for index, item := range value {
			value[index] = withFloats(item)
		}
	}
	return value
}

func withFloat(number json.Number) any {
	float, err := number.Float64()
	if err != nil || math.Abs(float) >= exact && !strings.ContainsAny(string(number), ".eE") {
		return number
	}
	return float
}

// plainly is the form of plain data.
type plainly struct{}

func (plainly) field(path string) string {
	if path == "" {
		return "the answer"
	}
	return "field `" + path + "`"
}

func (plainly) refusal() (why, instead string) {
	return "not plain data", "return its fields, or its text"
}

// part converts a number, a string or a boolean to a string, if the tag asks for it.
func (p plainly) part(field field, value reflect.Value) reflect.Value {
	settled := settle(value)
	switch kind := settled.Kind(); {
	case !field.quoted, kind != reflect.String && (kind < reflect.Bool || kind > reflect.Float64):
		return value
	}
	text, err := encode(settled, p)
	if err != nil {
		return value // it fails again, where its path is known
	}
	return reflect.ValueOf(string(text))
}

func (plainly) key(string, string) error {
	return nil
}

func (plainly) special(e *encoder, value reflect.Value, path string) (bool, error) {
	if !value.CanInterface() {
		return false, nil
	}
	if message, is := addressable(value).Interface().(proto.Message); is {
		return true, fmt.Errorf("%s is a `%T`, a message; hint: this node has `payload: json` in krt.yml, "+
			"give a map", e.field(path), message)
	}
	return false, nil
}

func (plainly) number(e *encoder, text, path string) error {
	if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
		return noNumber(e, text, path)
	}
	e.add(text)
	return nil
}

func (plainly) unsigned(e *encoder, number uint64, _ string) error {
	e.out = strconv.AppendUint(e.out, number, 10)
	return nil
}

// float writes a whole number without a fraction, so that it fits an integer. From 2^53 on it writes a float,
// since not all digits are significant.
func (plainly) float(e *encoder, number float64, path string) error {
	switch {
	case math.IsNaN(number) || math.IsInf(number, 0):
		return fmt.Errorf("%s is %v, which JSON does not have", e.field(path), number)
	case number == math.Trunc(number) && math.Abs(number) < exact:
		e.out = strconv.AppendFloat(e.out, number, 'f', -1, 64)
	default:
		e.out = AppendFloat(e.out, number)
	}
	return nil
}

func (plainly) bytes(e *encoder, content []byte) {
	e.add(`"` + base64.StdEncoding.EncodeToString(content) + `"`)
}
