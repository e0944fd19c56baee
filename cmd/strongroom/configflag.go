package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"
)

// Default locations of the config.
const (
	localConfig  = "./strongroom.yaml"
	configEnv    = "STRONGROOM_CONFIG"
	systemConfig = "/etc/strongroom/strongroom.yaml"
)

// configFlag adds --config. Before the command runs, it looks for the default
// and names it on standard error.
func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", "", "the config `file` (default ./strongroom.yaml, else $STRONGROOM_CONFIG, else /etc/strongroom/strongroom.yaml)")
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	c.PreRunE = func(c *cobra.Command, _ []string) (err error) {
		if c.Flags().Changed("config") {
			if *file == "" {
				return errors.New("--config: must be the path of a file")
			}
			return nil
		}
		if *file, err = defaultConfig(); err == nil {
			_, err = fmt.Fprintln(c.ErrOrStderr(), "config:", *file)
		}
		return err
	}
}

// defaultConfig returns the first default that exists. It does not skip an unreadable
// file, because the next config could name another state file.
func defaultConfig() (string, error) {
	switch info, err := os.Stat(localConfig); {
	case err == nil:
		return localConfig, checkOwner(info)
	case !errors.Is(err, os.ErrNotExist):
		return localConfig, nil
	}
	if path := os.Getenv(configEnv); path != "" {
		return path, nil
	}
	if _, err := os.Stat(systemConfig); !errors.Is(err, os.ErrNotExist) {
		return systemConfig, nil
	}
	return "", errors.New("there is no config: use --config FILE, set $" + configEnv + ", or create " + localConfig + " or " + systemConfig +
		" (strongroom init --dir DIR creates one)")
}

// checkOwner refuses a config of another user in the current directory: it could be an
// attack.
func checkOwner(info os.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 || int(st.Uid) == os.Geteuid() {
		return nil
	}
	return errors.New(localConfig + " belongs to another user: name it with --config if it is the right one")
}
