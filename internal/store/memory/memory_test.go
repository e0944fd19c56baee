package memory_test

import (
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
	"github.com/strongroom/strongroom/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) secret.Store { return memory.New() })
}
