// Package config gives nodes of KRT v1 their configuration, under the paths that they import.
//
// The fields are those of all versions of the old runner. krt hides servers from its nodes, so the fields of
// NATS, MongoDB and InfluxDB are empty unless the environment of krt sets the variables.
package config

import (
	"os"

	"github.com/konstellation-io/krt/sdk/go/simplelogger"
)

const (
	// InfluxOrg is the organisation of the old runner's measurements.
	InfluxOrg = "kre"
	// InfluxBucket is the bucket of the old runner's measurements.
	InfluxBucket = "default"
)

// connTimeout is the old runner's timeout for MongoDB, in seconds.
const connTimeout = 120

// Config identifies the node.
type Config struct {
	// WorkflowName holds the names of the node's workflows, joined by commas.
	WorkflowName string
	RuntimeID    string
	VersionID    string
	Version      string
	NodeName     string
	BasePath     string
	NATS         ConfigNATS
	MongoDB      MongoDB
	InfluxDB     InfluxDB
	IsLastNode   bool
}

// MongoDB is the document store of the old runner.
type MongoDB struct {
	Address     string
	DBName      string
	DataDBName  string
	ConnTimeout int
}

// ConfigNATS is the message broker of the old runner.
type ConfigNATS struct {
	Server             string
	Stream             string
	InputSubject       string
	OutputSubject      string
	MongoWriterSubject string
	EntrypointSubject  string
}

// InfluxDB is the measurement store of the old runner.
type InfluxDB struct {
	URI    string
	Token  string
	Org    string
	Bucket string
}

// NewConfig reads the environment. The old version ended the process if a variable was missing; this one
// leaves the field empty and does not use the logger.
func NewConfig(_ *simplelogger.SimpleLogger) Config {
	return Config{
		WorkflowName: os.Getenv("KRT_WORKFLOW_NAME"),
		RuntimeID:    os.Getenv("KRT_RUNTIME_ID"),
		VersionID:    os.Getenv("KRT_VERSION_ID"),
		Version:      os.Getenv("KRT_VERSION"),
		NodeName:     os.Getenv("KRT_NODE_NAME"),
		BasePath:     os.Getenv("KRT_BASE_PATH"),
		IsLastNode:   os.Getenv("KRT_IS_LAST_NODE") == "true",
		NATS: ConfigNATS{
			Server:             os.Getenv("KRT_NATS_SERVER"),
			Stream:             os.Getenv("KRT_NATS_STREAM"),
			InputSubject:       os.Getenv("KRT_NATS_INPUT"),
			OutputSubject:      os.Getenv("KRT_NATS_OUTPUT"),
			MongoWriterSubject: os.Getenv("KRT_NATS_MONGO_WRITER"),
			EntrypointSubject:  os.Getenv("KRT_NATS_ENTRYPOINT_SUBJECT"),
		},
		MongoDB: MongoDB{
			Address:     os.Getenv("KRT_MONGO_URI"),
			DBName:      os.Getenv("KRT_MONGO_DB_NAME"),
			DataDBName:  "data",
			ConnTimeout: connTimeout,
		},
		InfluxDB: InfluxDB{
			URI:    os.Getenv("KRT_INFLUX_URI"),
			Token:  os.Getenv("KRT_INFLUX_TOKEN"),
			Org:    InfluxOrg,
			Bucket: InfluxBucket,
		},
	}
}
