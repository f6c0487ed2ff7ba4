package document

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
)

// objectID is the id of a stored document: its 24 hexadecimal digits.
type objectID string

// Decode decodes a document into a map with string keys, a struct, or an empty interface.
//
// Without another type as target, whole numbers are int64, dates time.Time in UTC, and ids strings.
func Decode(document []byte, into reflect.Value) error {
	read, err := readJSON(document)
	if err != nil {
		return fmt.Errorf("a document does not parse: %w", err)
	}
	value, err := plain(read)
	if err != nil {
		return err
	}
	return assign(into, value, "")
}

// readJSON parses JSON and keeps numbers as written.
func readJSON(text []byte) (read any, err error) {
	reader := json.NewDecoder(bytes.NewReader(text))
	reader.UseNumber()
	err = reader.Decode(&read)
	return read, err
}

// plain converts Extended JSON to Go values.
func plain(read any) (any, error) {
	switch read := read.(type) {
	case json.Number:
		return number(string(read))
	case []any:
		for index, item := range read {
			value, err := plain(item)
			if err != nil {
				return nil, err
			}
			read[index] = value
		}
	case map[string]any:
		if value, is, err := special(read); is || err != nil {
			return value, err
		}
		for key, item := range read {
			value, err := plain(item)
			if err != nil {
				return nil, err
			}
			read[key] = value
		}
	}
	return read, nil
}

func number(text string) (any, error) {
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		return whole, nil
	}
	return strconv.ParseFloat(text, 64)
}

// special reads an object that stands for a type missing in JSON.
func special(object map[string]any) (value any, is bool, err error) {
	if len(object) != 1 {
		return nil, false, nil
	}
	for key, inner := range object {
		switch key {
		case "$date":
			value, err = date(inner)
			return value, true, err
		case "$binary":
			value, err = binary(inner)
			return value, true, err
		}
		text, isText := inner.(string)
		if !isText {
			return nil, false, nil
		}
		switch key {
		case "$oid":
			return objectID(text), true, nil
		case "$numberInt", "$numberLong":
			value, err = strconv.ParseInt(text, 10, 64)
			return value, true, err
		case "$numberDouble":
			value, err = strconv.ParseFloat(text, 64)
			return value, true, err
		case "$numberDecimal":
			return text, true, nil
		}
	}
	return nil, false, nil
}

func date(inner any) (time.Time, error) {
	if text, is := inner.(string); is {
		moment, err := time.Parse(time.RFC3339Nano, text)
		return moment.UTC(), err
	}
	value, err := plain(inner)
	milliseconds, is := value.(int64)
	if err != nil || !is {
		return time.Time{}, fmt.Errorf("a date is %v", inner)
	}
	return time.UnixMilli(milliseconds).UTC(), nil
}

func binary(inner any) ([]byte, error) {
	object, _ := inner.(map[string]any)
	text, is := object["base64"].(string)
	if !is {
		return nil, fmt.Errorf("bytes are %v", inner)
	}
	return base64.StdEncoding.DecodeString(text)
}

// assign stores a value in the user's target.
func assign(into reflect.Value, value any, path string) error {
	if into.Kind() == reflect.Interface && into.NumMethod() == 0 {
		return assignAny(into, value)
	}
	if value == nil {
		into.SetZero()
		return nil
	}
	if into.Kind() == reflect.Pointer {
		target := reflect.New(into.Type().Elem())
		into.Set(target)
		return assign(target.Elem(), value, path)
	}
	if done, err := assignSpecial(into, value); done || err != nil {
		return within(path, err)
	}
	switch value := value.(type) {
	case map[string]any:
		if into.Kind() == reflect.Map && into.Type().Key().Kind() == reflect.String {
			return assignMap(into, value, path)
		}
		if into.Kind() == reflect.Struct {
			return assignStruct(into, value, path)
		}
	case []any:
		if into.Kind() == reflect.Slice || into.Kind() == reflect.Array {
			return assignList(into, value, path)
		}
	default:
		if assignScalar(into, value) {
			return nil
		}
	}
	return misfit(value, into, path)
}

func assignAny(into reflect.Value, value any) error {
	if value = withoutIDs(value); value == nil {
		into.SetZero()
	} else {
		into.Set(reflect.ValueOf(value))
	}
	return nil
}

// withoutIDs converts ids to plain strings.
func withoutIDs(value any) any {
	switch value := value.(type) {
	case objectID:
		return string(value)
	case map[string]any:
		for key, item := range value {
			value[key] = withoutIDs(item)
		}
	case []any:
		for index, item := range value {
			value[index] = withoutIDs(item)
		}
	}
	return value
}

// assignSpecial handles dates, ids, bytes, and types with their own unmarshaler.
func assignSpecial(into reflect.Value, value any) (bool, error) {
	if into.Type() == timeType {
		return assignTime(into, value)
	}
	switch value := value.(type) {
	case time.Time:
		if into.Kind() == reflect.Int64 {
			into.SetInt(value.UnixMilli())
			return true, nil
		}
	case objectID:
		if into.Kind() == reflect.Array {
			return assignBytes(into, value)
		}
	case []byte:
		return assignContent(into, value), nil
	}
	switch reader := into.Addr().Interface().(type) {
	case json.Unmarshaler:
		text, err := json.Marshal(value)
		if err == nil {
			err = reader.UnmarshalJSON(text)
		}
		return true, err
	case encoding.TextUnmarshaler:
		if text, is := value.(string); is {
			return true, reader.UnmarshalText([]byte(text))
		}
	}
	return false, nil
}

func assignTime(into reflect.Value, value any) (bool, error) {
	switch value := value.(type) {
	case time.Time:
		into.Set(reflect.ValueOf(value))
		return true, nil
	case string:
		moment, err := time.Parse(time.RFC3339Nano, value)
		into.Set(reflect.ValueOf(moment))
		return true, err
	}
	return false, nil
}

func assignBytes(into reflect.Value, id objectID) (bool, error) {
	content, err := hex.DecodeString(string(id))
	return err == nil && assignContent(into, content), err
}

func assignContent(into reflect.Value, content []byte) bool {
	switch {
	case into.Kind() != reflect.Slice && into.Kind() != reflect.Array,
		into.Type().Elem().Kind() != reflect.Uint8:
		return false
	case into.Kind() == reflect.Slice:
		into.SetBytes(content)
		return true
	}
	return into.Len() == len(content) && reflect.Copy(into, reflect.ValueOf(content)) == len(content)
}

func assignMap(into reflect.Value, object map[string]any, path string) error {
	kind := into.Type()
	into.Set(reflect.MakeMapWithSize(kind, len(object)))
	for key, item := range object {
		element := reflect.New(kind.Elem()).Elem()
		if err := assign(element, item, join(path, key)); err != nil {
			return err
		}
		into.SetMapIndex(reflect.ValueOf(key).Convert(kind.Key()), element)
	}
	return nil
}

func assignStruct(into reflect.Value, object map[string]any, path string) error {
	fields := fieldsOf(into.Type())
	for key, item := range object {
		field, there := fieldFor(fields, key)
		if !there {
			continue
		}
		if err := assign(reach(into, field.index), item, join(path, key)); err != nil {
			return err
		}
	}
	return nil
}

// reach returns a field, and allocates the embedded pointers on the way to it.
func reach(into reflect.Value, index []int) reflect.Value {
	for _, number := range index {
		if into.Kind() == reflect.Pointer {
			if into.IsNil() {
				into.Set(reflect.New(into.Type().Elem()))
			}
			into = into.Elem()
		}
		into = into.Field(number)
	}
	return into
}

func assignList(into reflect.Value, items []any, path string) error {
	if into.Kind() == reflect.Slice {
		into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
	} else if into.Len() != len(items) {
		return misfit(items, into, path)
	}
	for index, item := range items {
		if err := assign(into.Index(index), item, fmt.Sprintf("%s[%d]", path, index)); err != nil {
			return err
		}
	}
	return nil
}

// assignScalar assigns a number, a string or a boolean, if it fits without loss.
func assignScalar(into reflect.Value, value any) bool {
	switch value := value.(type) {
	case bool:
		if into.Kind() == reflect.Bool {
			into.SetBool(value)
			return true
		}
	case string:
		if into.Kind() == reflect.String {
			into.SetString(value)
			return true
		}
	case objectID:
		if into.Kind() == reflect.String {
			into.SetString(string(value))
			return true
		}
	case int64:
		return assignInt(into, value)
	case float64:
		if into.CanFloat() {
			into.SetFloat(value)
			return true
		}
		return value == math.Trunc(value) && math.Abs(value) < 1<<53 && assignInt(into, int64(value))
	}
	return false
}

func assignInt(into reflect.Value, number int64) bool {
	switch {
	case into.CanInt() && !into.OverflowInt(number):
		into.SetInt(number)
	case into.CanUint() && number >= 0 && !into.OverflowUint(uint64(number)):
		into.SetUint(uint64(number))
	case into.CanFloat():
		into.SetFloat(float64(number))
	default:
		return false
	}
	return true
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func within(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("`%s` cannot be read: %w", path, err)
}

func misfit(value any, into reflect.Value, path string) error {
	return fmt.Errorf("`%s` is %.40s, which does not fit a `%s`", path, fmt.Sprint(value), into.Type())
}
