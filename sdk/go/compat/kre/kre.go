// Package kre is krt's SDK under the paths that nodes of KRT v1 import.
//
// krt puts this file into a module for each of those paths, and builds nodes with these modules instead of
// those in their go.mod.
package kre

import sdk "github.com/konstellation-io/krt/sdk/go/kre"

type (
	// HandlerContext is the SDK's.
	HandlerContext = sdk.HandlerContext
	// HandlerInit is the SDK's.
	HandlerInit = sdk.HandlerInit
	// Handler is the SDK's.
	Handler = sdk.Handler
	// PlainHandler is the SDK's.
	PlainHandler = sdk.PlainHandler
	// JSONHandler is the SDK's.
	JSONHandler = sdk.JSONHandler
	// Message is the SDK's.
	Message = sdk.Message
	// Database is the SDK's.
	Database = sdk.Database
	// Measurements is the SDK's.
	Measurements = sdk.Measurements
	// Predictions is the SDK's.
	Predictions = sdk.Predictions
	// Metrics is the SDK's.
	Metrics = sdk.Metrics
	// QueryData is the SDK's.
	QueryData = sdk.QueryData
	// SaveMetricErr is the SDK's.
	SaveMetricErr = sdk.SaveMetricErr
)

const (
	// ErrMissingValues is the SDK's.
	ErrMissingValues = sdk.ErrMissingValues
	// ErrNewLabels is the SDK's.
	ErrNewLabels = sdk.ErrNewLabels
)

// ErrReplied is the SDK's.
var ErrReplied = sdk.ErrReplied

// Start is the SDK's.
func Start(handlerInit HandlerInit, handler interface{}) {
	sdk.Start(handlerInit, handler)
}
