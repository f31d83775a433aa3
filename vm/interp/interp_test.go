package interp_test

import (
	"testing"

	"github.com/bpfct/bpfct/vm/enginetest"
	"github.com/bpfct/bpfct/vm/interp"
)

func TestEngine(t *testing.T) { enginetest.Run(t, interp.Engine{}) }
