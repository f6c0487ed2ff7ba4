package kre

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/konstellation-io/krt/sdk/go/internal/document"
	"github.com/konstellation-io/krt/sdk/go/internal/worker"
)

// QueryData is a query in MongoDB's language.
type QueryData map[string]interface{}

// Database saves and finds documents in the version's own database.
type Database struct {
	scope worker.Scope
}

// Save saves a document, a map or a struct, and returns once the store has it.
//
// The json tags of a struct name its fields, or else the bson tags.
func (d *Database) Save(collection string, data interface{}) error {
	if collection == "" {
		return notText("db.save", "collection", collection)
	}
	body, err := document.Encode(data)
	if errors.Is(err, document.ErrNoDocument) {
		return fmt.Errorf("[ctx.db.save] invalid 'data'='%.80s', must be a map or a struct", fmt.Sprint(data))
	}
	if err != nil {
		return err
	}
	if err := d.scope.Save(collection, body); err != nil {
		return notSaved(err)
	}
	return nil
}

// Find stores the documents that match a query in res: a pointer to a slice of maps, of structs, or of
// pointers to structs.
func (d *Database) Find(colName string, query QueryData, res interface{}) error {
	if colName == "" {
		return notText("db.find", "collection", colName)
	}
	if len(query) == 0 {
		return notQuery(query)
	}
	target := reflect.ValueOf(res)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Slice {
		return fmt.Errorf("[ctx.db.find] invalid 'res' of type `%T`, must be a pointer to a slice", res)
	}
	body, err := document.Encode(query)
	if err != nil {
		return err
	}
	found, err := d.scope.Find(colName, body)
	if err != nil {
		return notFound(err)
	}
	return collect(target.Elem(), found)
}

// collect replaces the content of a slice with documents.
func collect(slice reflect.Value, found [][]byte) error {
	made := reflect.MakeSlice(slice.Type(), len(found), len(found))
	for index, body := range found {
		if err := document.Decode(body, made.Index(index)); err != nil {
			return notFound(err)
		}
	}
	slice.Set(made)
	return nil
}
