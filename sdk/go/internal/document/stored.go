package document

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

const (
	genericType = "00"
	uuidType    = "04"
	dateLayout  = "2006-01-02T15:04:05.000Z"
)

// stored is the form of documents: Extended JSON, with objects for the types missing in JSON.
type stored struct{}

func (stored) field(path string) string {
	return "`" + path + "`"
}

func (stored) refusal() (why, instead string) {
	return "which cannot be stored", "store its fields, or its text"
}

func (stored) part(_ field, value reflect.Value) reflect.Value {
	return value
}

func (stored) key(key, path string) error {
	if strings.ContainsRune(key, 0) {
		return fmt.Errorf("the key %q has a null character", path)
	}
	return nil
}

func (stored) special(e *encoder, value reflect.Value, _ string) (bool, error) {
	switch kind := value.Type(); {
	case kind == timeType:
		e.date(value.Interface().(time.Time))
	case kind.Kind() == reflect.Array && kind.Elem().Kind() == reflect.Uint8:
		e.array(value)
	default:
		return false, nil
	}
	return true, nil
}

func (stored) number(e *encoder, text, path string) error {
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		e.out = AppendInt(e.out, whole)
		return nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return noNumber(e, text, path)
	}
	return e.float(e, number, path)
}

func (stored) unsigned(e *encoder, number uint64, path string) error {
	if number > math.MaxInt64 {
		return fmt.Errorf("`%s` is %.3e, more than 64 bits hold; hint: store it as text or a float", path, float64(number))
	}
	e.out = AppendInt(e.out, int64(number))
	return nil
}

func (stored) float(e *encoder, number float64, _ string) error {
	switch {
	case math.IsNaN(number):
		e.add(`{"$numberDouble":"NaN"}`)
	case math.IsInf(number, 1):
		e.add(`{"$numberDouble":"Infinity"}`)
	case math.IsInf(number, -1):
		e.add(`{"$numberDouble":"-Infinity"}`)
	default:
		e.out = AppendFloat(e.out, number)
	}
	return nil
}

func (stored) bytes(e *encoder, content []byte) {
	e.binary(content, genericType)
}

func (e *encoder) date(moment time.Time) {
	moment = moment.UTC()
	e.add(`{"$date":`)
	if year := moment.Year(); year < 1970 || year > 9999 {
		e.add(`{"$numberLong":"`)
		e.out = AppendInt(e.out, moment.UnixMilli())
		e.add(`"}}`)
		return
	}
	e.add(`"`)
	e.out = moment.AppendFormat(e.out, dateLayout)
	e.add(`"}`)
}

// array writes an array of bytes; ids keep their type.
func (e *encoder) array(value reflect.Value) {
	content := make([]byte, value.Len())
	reflect.Copy(reflect.ValueOf(content), value)
	switch name := value.Type().Name(); {
	case name == "ObjectID" && len(content) == 12:
		e.add(`{"$oid":"` + hex.EncodeToString(content) + `"}`)
	case name == "UUID" && len(content) == 16:
		e.binary(content, uuidType)
	default:
		e.binary(content, genericType)
	}
}

func (e *encoder) binary(content []byte, subtype string) {
	e.add(`{"$binary":{"base64":"`)
	e.add(base64.StdEncoding.EncodeToString(content))
	e.add(`","subType":"` + subtype + `"}}`)
}

func noNumber(e *encoder, text, path string) error {
	return fmt.Errorf("%s is no number: %q", e.field(path), text)
}
