package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/app"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/safefile"
)

func backupCommand() *cobra.Command {
	var out, recipient string
	var force bool
	c := adminCommand("backup --out FILE", "Take an encrypted backup, while the server runs or not", noArgs, func(ctx context.Context, a *adminClient, _ []string) error {
		if out == standard {
			return a.sendBackup(ctx, recipient, force)
		}
		if err := a.takeBackup(ctx, out, recipient); err != nil {
			return err
		}
		return a.printf("%s is written\n", out)
	})
	c.Long = `Take an encrypted backup, while the server runs or not. It is a copy of the last
commit, encrypted for the keyring, so that the key-encryption key opens it, or for
an age recipient.`
	c.Example = `  strongroom backup --out /backup/strongroom-2026-11-29
  strongroom backup --out - | ssh backup@host 'cat > strongroom.backup'`
	c.Flags().StringVar(&out, "out", "", "the `file` to write, which must not exist, or - for standard output")
	c.Flags().BoolVar(&force, "force", false, "write to standard output even if it is a terminal")
	c.Flags().StringVar(&recipient, "recipient", "", "an age public `key` (age1…) to encrypt for, instead of the keyring")
	_ = c.MarkFlagRequired("out") // fails only for a flag that does not exist
	c.AddCommand(backupVerifyCommand())
	return c
}

// standard stands for standard output or input in place of a file.
const standard = "-"

// sendBackup writes the backup to standard output. If it fails, output is left that is
// incomplete; only the exit code shows it.
func (a *adminClient) sendBackup(ctx context.Context, recipient string, force bool) error {
	w := a.out.OutOrStdout()
	if f, ok := w.(*os.File); ok && !force && term.IsTerminal(int(f.Fd())) {
		return errors.New("--out: standard output is a terminal: redirect it, or add --force")
	}
	return a.receiveBackup(ctx, recipient, w)
}

// takeBackup gives the backup its name only when it is complete and on disk.
func (a *adminClient) takeBackup(ctx context.Context, out, recipient string) error {
	err := safefile.Create(out, func(f *os.File) error { return a.receiveBackup(ctx, recipient, f) })
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("--out: %s exists", out)
	}
	return err
}

func (a *adminClient) receiveBackup(ctx context.Context, recipient string, w io.Writer) error {
	body := gen.BackupJSONRequestBody{}
	if recipient != "" {
		body.Recipient = &recipient
	}
	resp, err := a.Backup(ctx, body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(gen.ParseBackupResponse(resp))
	}
	_, err = io.Copy(w, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

func backupVerifyCommand() *cobra.Command {
	var file, identity string
	c := &cobra.Command{
		Use:   "verify BACKUP|-",
		Short: "Check a backup and every record in it, without restoring it",
		Long: `Check a backup and every record in it, without restoring it. It is unpacked into a temporary directory beside it, in which
all records stay encrypted.`,
		Example: `  strongroom backup verify /backup/strongroom-2026-11-29
  strongroom backup verify --identity age.key strongroom.age`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return verifyBackup(c, cfg, args[0], identity)
		},
	}
	configFlag(c, &file)
	identityFlag(c, &identity)
	return c
}

func identityFlag(c *cobra.Command, identity *string) {
	c.Flags().StringVar(identity, "identity", "", "an age identity `file`, for a backup that was encrypted for a recipient")
}

// verifyBackup restores the backup into a directory of its own and runs doctor on it. All
// content there is sealed.
func verifyBackup(c *cobra.Command, cfg *config.Config, from, identity string) (err error) {
	beside := filepath.Dir(from)
	if from == standard {
		beside = filepath.Dir(cfg.State.File())
	}
	owner, err := safefile.OwnerOf(beside)
	if err != nil {
		return err
	}
	var dir string
	err = owner.Do(func() (err error) {
		dir, err = os.MkdirTemp(beside, ".verify-")
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, owner.Do(func() error { return os.RemoveAll(dir) })) }()
	elsewhere := *cfg
	elsewhere.State = config.State{Path: filepath.Join(dir, "state.db"), Key: cfg.State.Key, JournalBytes: new(int64)}
	// The backup may be older than the anchor, and verifying it must not move the anchor.
	elsewhere.Audit = config.Audit{}
	if err := restore(c, &elsewhere, from, identity); err != nil {
		return err
	}
	return administer(c, &elsewhere, examine)
}

func restoreCommand() *cobra.Command {
	var file, from, identity string
	c := &cobra.Command{
		Use:   "restore --from BACKUP",
		Short: "Create the state from a backup, where there is none",
		Long: `Create the state of the config from a backup: a state file, or the tables in an empty database. A state that exists is not changed:
move the file away first, or take another database. A backup of one kind can be restored to the other.
The backup is opened with state.key, or with --identity if it was encrypted for an age recipient.`,
		Example: `  strongroom restore --from /backup/strongroom-2026-11-29`,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			if err := restore(c, cfg, from, identity); err != nil {
				return err
			}
			restored := cfg.State.Path
			if cfg.State.Postgres != nil {
				restored = "the state in the database"
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is restored\n", restored)
			return errors.Join(err, remindOfAnchor(c.ErrOrStderr(), cfg.Audit.Anchor))
		},
	}
	configFlag(c, &file)
	identityFlag(c, &identity)
	c.Flags().StringVar(&from, "from", "", "the `backup`, or - for standard input")
	_ = c.MarkFlagRequired("from") // fails only for a flag that does not exist
	return asksFirst(c, says("The server will continue from the backup. API keys revoked since then will work again, and reads by agent keys since then will not count."))
}

// remindOfAnchor names the anchor, because the server does not start on a backup that is
// older than its anchor.
func remindOfAnchor(w io.Writer, to *config.Anchor) error {
	if to == nil || to.File == "" {
		return nil
	}
	if _, err := os.Lstat(to.File); err != nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "the server may refuse this copy as older than the anchor in %s: then move the anchor away to begin a new one\n", to.File)
	return err
}

func restore(c *cobra.Command, cfg *config.Config, from, identity string) error {
	var identities []byte
	if identity != "" {
		var err error
		if identities, err = safefile.Read(identity); err != nil {
			return fmt.Errorf("--identity: %w", err)
		}
		defer clear(identities)
	}
	r := c.InOrStdin()
	if from != standard {
		f, err := safefile.Open(from, os.O_RDONLY)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		r = f
	}
	source := app.KeySource(cfg.State.Key)
	plain, err := admin.Decrypt(c.Context(), r, source, identities)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return app.RestoreState(c.Context(), cfg.State, plain, version)
}
