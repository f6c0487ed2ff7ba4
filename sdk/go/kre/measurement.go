package kre

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"unicode/utf8"

	"github.com/konstellation-io/krt/sdk/go/internal/document"
)

// Measurements saves points of time series; the engine adds the tags version, workflow and node.
//
// An invalid measurement never fails a handler: each problem is logged, and the rest is saved.
type Measurements struct {
	parts *parts
}

var (
	errUnnamed   = errors.New("its name must be a nonempty text")
	errInvalid   = errors.New("it is no valid text: it is not UTF-8")
	errTooLarge  = errors.New("it is an integer of more than 64 bits")
	errFieldless = errors.New("it has no field left")
)

// Save saves a measurement in the background. Fields are strings, numbers and booleans.
func (m *Measurements) Save(measurement string, fields map[string]interface{}, tags map[string]string) {
	body, err := m.encode(measurement, fields, tags)
	if err == nil {
		err = m.parts.scope.Measure(body)
	}
	if err != nil {
		m.warn(measurement, "it is not saved: %v", err)
	}
}

func (m *Measurements) encode(name string, fields map[string]interface{}, tags map[string]string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	out := append([]byte(`{"measurement":`), document.Text(name)...)
	out = append(out, `,"fields":{`...)
	before := len(out)
	for _, key := range sorted(fields) {
		value, err := encodeField(key, fields[key])
		if err != nil {
			m.warn(name, "its field `%.80s` is left out: %v", key, err)
			continue
		}
		out = appendMember(out, key, value)
	}
	if len(out) == before {
		return nil, errFieldless
	}
	out = append(out, `},"tags":{`...)
	for _, key := range sorted(tags) {
		if err := checkTag(key, tags[key]); err != nil {
			m.warn(name, "its tag `%.80s` is left out: %v", key, err)
			continue
		}
		out = appendMember(out, key, document.Text(tags[key]))
	}
	out = append(out, `},"time":`...)
	return append(strconv.AppendInt(out, m.parts.scope.Now().UnixNano(), 10), '}'), nil
}

func (m *Measurements) warn(name, format string, values ...interface{}) {
	m.parts.logger.Warnf("[ctx.measurement.save] measurement `%.80s`: %s", name, fmt.Sprintf(format, values...))
}

func encodeField(key string, value interface{}) ([]byte, error) {
	if err := checkName(key); err != nil {
		return nil, err
	}
	field := reflect.ValueOf(value)
	for field.Kind() == reflect.Pointer && !field.IsNil() {
		field = field.Elem()
	}
	switch {
	case field.Kind() == reflect.Bool:
		return strconv.AppendBool(nil, field.Bool()), nil
	case field.Kind() == reflect.String:
		return document.Text(field.String()), checkText(field.String())
	case !field.IsValid():
	case field.CanInt():
		return document.AppendInt(nil, field.Int()), nil
	case field.CanUint():
		return encodeUnsigned(field.Uint())
	case field.CanFloat():
		return encodeFloat(field)
	}
	return nil, fmt.Errorf("it is %.40s, a `%T`, not a text, a number or a boolean", fmt.Sprint(value), value)
}

func encodeUnsigned(number uint64) ([]byte, error) {
	if number > math.MaxInt64 {
		return nil, errTooLarge
	}
	return document.AppendInt(nil, int64(number)), nil
}

func encodeFloat(field reflect.Value) ([]byte, error) {
	number := field.Float()
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return nil, fmt.Errorf("it is %v", number)
	}
	if field.Kind() == reflect.Float32 {
		number = document.Shortest(float32(number))
	}
	return document.AppendFloat(nil, number), nil
}

func appendMember(out []byte, key string, value []byte) []byte {
	if out[len(out)-1] != '{' {
		out = append(out, ',')
	}
	out = append(append(out, document.Text(key)...), ':')
	return append(out, value...)
}

func checkTag(key, value string) error {
	if err := checkName(key); err != nil {
		return err
	}
	return checkText(value)
}

func checkName(name string) error {
	if name == "" {
		return errUnnamed
	}
	return checkText(name)
}

func checkText(text string) error {
	if !utf8.ValidString(text) {
		return errInvalid
	}
	return nil
}

func sorted[V interface{}](entries map[string]V) []string {
	keys := make([]string, 0, len(entries))
	for key := range entries {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
