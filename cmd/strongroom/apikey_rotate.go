package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/app"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/duration"
	"github.com/strongroom/strongroom/internal/safefile"
)

func rotateAPIKeyCommand() *cobra.Command {
	overlap := duration.Duration(duration.Day)
	var keyOut string
	c := adminCommand("rotate ID", "Replace an API key; the old one keeps working for some time", cobra.ExactArgs(1), func(ctx context.Context, a *adminClient, args []string) error {
		seconds, err := lifetime("overlap", overlap)
		if err != nil {
			return err
		}
		file, err := app.KeysFileOf(a.cfg, args[0])
		if err != nil {
			return err
		}
		if file != "" {
			return a.rotateInFile(file, args[0], time.Duration(overlap), keyOut)
		}
		resp, err := a.RotateApiKeyWithResponse(ctx, gen.RotateApiKeyJSONRequestBody{Id: args[0], Overlap: seconds})
		if err := refusal(resp, err); err != nil {
			return err
		}
		return a.handOutKey(*resp.JSON200, keyOut)
	})
	c.Long = `Create an API key with the same subject, user and grants, print it once, and end the old one after --overlap. ID is the
part of the key after srk_.

The key can be an issued one, or one in a keys file of the config, such as the keys of init. In the keys file, the
new key gets an entry before the old one, and the old one gets a time in the field "until". A running server loads the
file within two seconds; strongroom status reports it if it cannot.`
	c.Example = `  strongroom apikey rotate k3x7q2mf
  strongroom apikey rotate k3x7q2mf --overlap 0s --keys-out new-key`
	c.Flags().Var(&overlap, "overlap", "`time` for which the old key still works, at most 90d; 0s ends it at once")
	c.Flags().StringVar(&keyOut, "keys-out", "", "a new `file` for the key, with mode 0600, instead of standard output")
	return c
}

// maxOverlap is the maximum overlap, as for issued keys.
const maxOverlap = 90 * time.Duration(duration.Day)

// rotateInFile replaces an API key in a keys file. It saves the new key first, so that a
// crash cannot lose a key that is already in the keys file.
func (a *adminClient) rotateInFile(file, id string, overlap time.Duration, keyOut string) error {
	if overlap > maxOverlap {
		return errors.New("--overlap: must be at most 90 days")
	}
	var r apikey.Rotation
	now, saved := time.Now(), false
	err := safefile.Edit(file, func(old []byte) (_ []byte, err error) {
		if r, err = apikey.Rotate(old, id, now, now.Add(overlap)); err != nil || keyOut == "" {
			return r.File, err
		}
		err = saveKey(keyOut, r.Key)
		saved = err == nil
		return r.File, err
	})
	if err != nil {
		if saved {
			err = errors.Join(err, safefile.Remove(keyOut))
		}
		return fmt.Errorf("changing %s: %w", file, err)
	}
	old := "ends now"
	if end := now.Add(overlap); overlap > 0 {
		old = "works until " + when(&end)
	}
	if _, err := fmt.Fprintf(a.out.ErrOrStderr(), "key %s is in %s; the old key %s. A running server loads the file within two seconds.\n", r.ID, file, old); err != nil || saved {
		return err
	}
	return a.printf("%s\n", r.Key)
}

// saveKey writes a key to a new file that only its owner can read.
func saveKey(path, key string) error {
	if err := safefile.CreateText(path, []byte(key+"\n")); err != nil {
		return fmt.Errorf("--keys-out: %w", err)
	}
	return nil
}

// handOutKey writes an issued key to a new file, or like printNewKey.
func (a *adminClient) handOutKey(k gen.NewKey, keyOut string) error {
	if keyOut == "" {
		return a.printNewKey(k)
	}
	if err := saveKey(keyOut, k.Key); err != nil {
		return fmt.Errorf("the new key %s is lost; rotate it again: %w", k.Issued.Id, err)
	}
	_, err := fmt.Fprintf(a.out.ErrOrStderr(), "key %s %s; it is in %s\n", k.Issued.Id, stateOf(k.Issued), keyOut)
	return err
}
