// Package document converts Go values to JSON and back: documents as relaxed MongoDB Extended JSON v2, plain
// data as ordinary JSON.
//
// An error names the field that does not fit: a bare "unsupported type" would make the user search the whole
// value.
package document

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// deepest is the maximum nesting depth of a MongoDB document; plain data has the same limit.
const deepest = 100

// ErrNoDocument is the error for a value that is neither a map nor a struct.
var ErrNoDocument = errors.New("it is no document")

var (
	timeType   = reflect.TypeOf(time.Time{})
	numberType = reflect.TypeOf(json.Number(""))
)

// Encode encodes a document: a map with string keys, a struct, or a pointer to one.
func Encode(value any) ([]byte, error) {
	top := settle(reflect.ValueOf(value))
	if !top.IsValid() || top.Type() == timeType || top.Kind() != reflect.Map && top.Kind() != reflect.Struct {
		return nil, ErrNoDocument
	}
	return encode(top, stored{})
}

func encode(top reflect.Value, in form) ([]byte, error) {
	e := encoder{form: in, out: make([]byte, 0, 256)}
	if err := e.value(top, "", 0); err != nil {
		return nil, err
	}
	return e.out, nil
}

// form holds the differences between the two forms of JSON. A path leads to a value from the top of the
// output; the path of the top is empty.
type form interface {
	// field formats the name of a field for an error.
	field(path string) string
	// refusal returns the reason for refusing a value, and the advice for the user.
	refusal() (why, instead string)
	// part returns the value to write for a field of a struct.
	part(field field, value reflect.Value) reflect.Value
	// key checks a key.
	key(key, path string) error
	// special writes a value that its kind does not describe, and reports whether it did.
	special(e *encoder, value reflect.Value, path string) (bool, error)
	// number writes a number from its text.
	number(e *encoder, text, path string) error
	unsigned(e *encoder, number uint64, path string) error
	float(e *encoder, number float64, path string) error
	bytes(e *encoder, content []byte)
}

// encoder appends to out in one form.
type encoder struct {
	form
	out []byte
}

func (e *encoder) value(value reflect.Value, path string, depth int) error {
	value = settle(value)
	if !value.IsValid() {
		e.add("null")
		return nil
	}
	if special, err := e.more(value, path); special || err != nil {
		return err
	}
	switch value.Kind() {
	case reflect.Bool:
		e.out = strconv.AppendBool(e.out, value.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.out = AppendInt(e.out, value.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return e.unsigned(e, value.Uint(), path)
	case reflect.Float32:
		return e.float(e, Shortest(float32(value.Float())), path)
	case reflect.Float64:
		return e.float(e, value.Float(), path)
	case reflect.String:
		return e.text(value.String(), path)
	case reflect.Map, reflect.Struct, reflect.Slice, reflect.Array:
		if depth >= deepest {
			return fmt.Errorf("%s is nested more than %d levels deep", e.field(path), deepest)
		}
		return e.nested(value, path, depth+1)
	default:
		return e.refuse(value, path)
	}
	return nil
}

// more writes values that their kind does not describe.
func (e *encoder) more(value reflect.Value, path string) (bool, error) {
	if special, err := e.special(e, value, path); special || err != nil {
		return special, err
	}
	switch {
	case value.Type() == numberType:
		return true, e.number(e, value.String(), path)
	case !value.CanInterface():
		return false, nil
	default:
		return e.marshaler(addressable(value).Interface(), path)
	}
}

func (e *encoder) refuse(value reflect.Value, path string) error {
	why, instead := e.refusal()
	return fmt.Errorf("%s is a `%s`, %s; hint: %s", e.field(path), value.Type(), why, instead)
}

// marshaler writes the result of a user type's marshaler.
func (e *encoder) marshaler(value any, path string) (bool, error) {
	switch value := value.(type) {
	case json.Marshaler:
		made, err := value.MarshalJSON()
		var compact bytes.Buffer
		if err == nil {
			err = json.Compact(&compact, made)
		}
		if err != nil {
			return true, e.unmade(value, path, err)
		}
		e.out = append(e.out, compact.Bytes()...)
		return true, nil
	case encoding.TextMarshaler:
		made, err := value.MarshalText()
		if err != nil {
			return true, e.unmade(value, path, err)
		}
		return true, e.text(string(made), path)
	}
	return false, nil
}

// unmade is the error of a user type's marshaler.
func (e *encoder) unmade(value any, path string, err error) error {
	why, _ := e.refusal()
	return fmt.Errorf("%s is a `%T`, %s: %w", e.field(path), value, why, err)
}

func (e *encoder) nested(value reflect.Value, path string, depth int) error {
	switch value.Kind() {
	case reflect.Map:
		return e.mapping(value, path, depth)
	case reflect.Struct:
		return e.structure(value, path, depth)
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			e.bytes(e, value.Bytes())
			return nil
		}
	}
	e.add("[")
	for index := 0; index < value.Len(); index++ {
		if index > 0 {
			e.add(",")
		}
		if err := e.value(value.Index(index), fmt.Sprintf("%s[%d]", path, index), depth); err != nil {
			return err
		}
	}
	e.add("]")
	return nil
}

func (e *encoder) mapping(value reflect.Value, path string, depth int) error {
	type entry struct {
		key   string
		value reflect.Value
	}
	entries := make([]entry, 0, value.Len())
	for iterator := value.MapRange(); iterator.Next(); {
		key, err := keyText(iterator.Key(), path)
		if err != nil {
			return err
		}
		entries = append(entries, entry{key, iterator.Value()})
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].key < entries[j].key })
	e.add("{")
	for index, entry := range entries {
		if err := e.member(index == 0, entry.key, entry.value, path, depth); err != nil {
			return err
		}
	}
	e.add("}")
	return nil
}

func (e *encoder) structure(value reflect.Value, path string, depth int) error {
	e.add("{")
	first := true
	for _, field := range fieldsOf(value.Type()) {
		inner, err := value.FieldByIndexErr(field.index)
		if err != nil || field.omit && isEmpty(inner) {
			continue // an embedded pointer may be nil
		}
		if err := e.member(first, field.name, e.part(field, inner), path, depth); err != nil {
			return err
		}
		first = false
	}
	e.add("}")
	return nil
}

func (e *encoder) member(first bool, key string, value reflect.Value, path string, depth int) error {
	inner := join(path, key)
	if err := e.key(key, inner); err != nil {
		return err
	}
	if !first {
		e.add(",")
	}
	if err := e.text(key, inner); err != nil {
		return err
	}
	e.add(":")
	return e.value(value, inner, depth)
}

func (e *encoder) add(text string) {
	e.out = append(e.out, text...)
}

func (e *encoder) text(text, path string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s is no valid text: it is not UTF-8", e.field(strings.ToValidUTF8(path, "\uFFFD")))
	}
	e.out = appendText(e.out, text)
	return nil
}

// settle follows pointers and interfaces to their value; the zero Value stands for nil.
func settle(value reflect.Value) reflect.Value {
	for value.Kind() == reflect.Pointer || value.Kind() == reflect.Interface {
		value = value.Elem()
	}
	if kind := value.Kind(); (kind == reflect.Map || kind == reflect.Slice) && value.IsNil() {
		return reflect.Value{}
	}
	return value
}

// addressable returns a pointer to the value, for methods with a pointer receiver.
func addressable(value reflect.Value) reflect.Value {
	if value.CanAddr() {
		return value.Addr()
	}
	copied := reflect.New(value.Type())
	copied.Elem().Set(value)
	return copied
}

func keyText(key reflect.Value, path string) (string, error) {
	switch {
	case key.Kind() == reflect.String:
		return key.String(), nil
	case key.CanInt():
		return strconv.FormatInt(key.Int(), 10), nil
	case key.CanUint():
		return strconv.FormatUint(key.Uint(), 10), nil
	}
	if marshaler, is := key.Interface().(encoding.TextMarshaler); is {
		text, err := marshaler.MarshalText()
		return string(text), err
	}
	where := "at the top"
	if path != "" {
		where = "in `" + path + "`"
	}
	return "", fmt.Errorf("a key %s is %v, a `%s`; hint: make it a text", where, key, key.Type())
}

func isEmpty(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Map, reflect.Slice, reflect.Array:
		return value.Len() == 0
	case reflect.Struct:
		return value.Type() == timeType && value.IsZero()
	default:
		return value.IsZero()
	}
}

// Shortest returns the float64 with the same shortest decimal form as the float32.
func Shortest(number float32) float64 {
	same, err := strconv.ParseFloat(strconv.FormatFloat(float64(number), 'g', -1, 32), 64)
	if err != nil {
		return float64(number)
	}
	return same
}
