//go:build !race

package vm

// raceDetector says that this is built with -race.
const raceDetector = false
