package storetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
)

// The suite is tested with stores that break one promise each. The test is in the
// package itself, because a promise that a mutant breaks must not fail this test.

// A mutant is a store with one defect, and the promise that must detect it.
type mutant struct {
	defect   string
	store    secret.Store
	caughtBy string
}

func mutants() []mutant {
	m := memory.New
	return []mutant{
		{"Create overwrites", createOverwrites{m()}, "CreateDoesNotOverwrite"},
		{"Create looks, then writes", createLooksFirst{m()}, "OneOfManyCreatorsWins"},
		{"Create takes OnlyIf for a condition", createWantsRevision{m()}, "CreateIgnoresOnlyIf"},
		{"Create ignores the draft's time", createIsAlwaysNow{m()}, "CreateKeepsTheDraftsTime"},
		{"Create forgets the description", createForgetsDescription{m()}, "DescriptionIsAnyText"},
		{"Create keeps the caller's map", &createKeepsMap{Store: m()}, "ArgumentsStayTheCallersOwn"},
		{"Create wipes the caller's map", createWipesMap{m()}, "ArgumentsAreLeftAsTheyWere"},
		{"Create returns another time than it stores", createInventsTime{m()}, "CreateReturnsWhatItStored"},
		{"Create works halfway when cancelled", createWhileCancelled{m()}, "CancelledWriteFailsOrIsDone"},

		{"values are trimmed", values{m(), trimmed}, "ValuesAreBytes"},
		{"values are made UTF-8", values{m(), madeText}, "ValuesAreBytes"},
		{"values end at a NUL", values{m(), cString}, "ValuesAreBytes"},
		{"empty values are dropped", emptyValuesDropped{m()}, "EmptyValueIsNotAMissingKey"},
		{"values are cut at 64 KiB", values{m(), cut64K}, "SecretMayHaveAMebibyte"},
		{"there must be keys", keysBetween{m(), 1, secret.MaxKeys}, "SecretMayHaveNoKeys"},
		{"there are 256 keys at most", keysBetween{m(), 0, 256}, "SecretMayHaveAThousandKeys"},
		{"keys lose their case", lowerKeys{m()}, "KeysAreKeptAsTheyAre"},
		{"keys are not sorted", infos{m(), keysReversed}, "KeysAreSorted"},

		{"names lose their case", refs{m(), named(lowerCased)}, "NamesAreKeptAsTheyAre"},
		{"names are normalised", refs{m(), named(composed)}, "NamesAreKeptAsTheyAre"},
		{"names are trimmed", refs{m(), named(spaceTrimmed)}, "NamesAreKeptAsTheyAre"},
		{"names are unescaped", refs{m(), named(unescaped)}, "NamesAreKeptAsTheyAre"},
		{"names are cut at 253 bytes", refs{m(), named(cut253)}, "NamesAreKeptAsTheyAre"},
		{"names are paths", refs{m(), named(cleaned)}, "NameThatCannotBeIsNotFound"},

		{"owners are told apart by prefix", ownersByPrefix{m()}, "OwnersNeverSeeEachOthersSecrets"},
		{"a user is an app of the same id", refs{m(), ofOneKind}, "OwnersNeverSeeEachOthersSecrets"},
		{"owner and name are joined", refs{m(), joined}, "OwnerAndNameDoNotRunTogether"},
		{"owners are in order of id", ownersByID{m()}, "OwnersAreInOrder"},
		{"Owners ignores After", ownersIgnoreAfter{m()}, "OwnersComeInPages"},
		{"Owners counts one secret each", ownersCountOne{m()}, "OwnersHaveTheNumberOfTheirSecrets"},
		{"Owners remembers who had secrets", &ownersForever{Store: m()}, "OwnerWithoutSecretsIsNotListed"},

		{"List ignores After", listIgnoresAfter{m()}, "ListComesInPages"},
		{"List ignores Limit", listIgnoresLimit{m()}, "ListComesInPages"},
		{"List takes Limit 0 for none", listLimitZero{m()}, "ListIsInOrderOfBytes"},
		{"List begins with After", listFromAfter{m()}, "WalkThroughPagesMeetsEverySecretOnce"},
		{"List looks for After", listLooksForAfter{m()}, "PageGoesOnAfterANameThatIsGone"},
		{"List sorts without case", listSortsWithoutCase{m()}, "ListIsInOrderOfBytes"},
		{"List has no descriptions", listWithoutDescriptions{m()}, "EveryViewOfASecretAgrees"},
		{"List returns its own slice", &listShares{Store: m()}, "WhatListReturnsIsTheCallersOwn"},
		{"List ends early when cancelled", listEndsEarly{m()}, "CancelledReadFailsOrIsRight"},
		{"List of nothing is not found", listOfNothing{m()}, "ListOfNothingIsNoError"},

		{"Reveal ignores OnlyIf", revealIgnoresOnlyIf{m()}, "StaleRevisionChangesNothing"},
		{"Reveal returns its own map", &revealShares{Store: m()}, "WhatRevealReturnsIsTheCallersOwn"},
		{"Reveal looks twice", revealLooksTwice{m()}, "RevealReturnsInfoAndValuesOfOneMoment"},
		{"Reveal of nothing is nothing", revealOfNothing{m()}, "MissingSecretIsNotFound"},

		{"Replace merges", replaceMerges{m()}, "ReplaceReplacesAllOfTheData"},
		{"Replace with nothing does nothing", replaceSkipsNothing{m()}, "ReplaceWithNothingEmptiesTheSecret"},
		{"Replace ignores OnlyIf", replaceIgnoresOnlyIf{m()}, "StaleRevisionChangesNothing"},
		{"Replace ignores Keep", replaceIgnoresKeep{m()}, "KeepKeepsTheStoredValues"},
		{"Replace ignores Keep", replaceIgnoresKeep{m()}, "KeepOfEverythingChangesNoValue"},
		{"Replace skips a missing Keep", replaceSkipsMissingKeep{m()}, "KeepOfAMissingKeyChangesNothing"},
		{"Replace sets before it looks at Keep", replaceSetsFirst{m()}, "KeepOfAMissingKeyChangesNothing"},
		{"Replace does not count what it keeps", replaceDoesNotCount{m()}, "WhatIsKeptCountsForTheSize"},
		{"Replace clears the description", replaceClearsDescription{m()}, "ReplaceKeepsTheRest"},
		{"Replace ignores the description", replaceIgnoresDescription{m()}, "ReplaceDescribesIfAsked"},
		{"Replace describes before it looks at Keep", replaceDescribesFirst{m()}, "ReplaceDescribesIfAsked"},
		{"Replace creates what is missing", replaceCreates{m()}, "MissingSecretIsNotFound"},
		{"Replace looks, then writes", replaceLooksFirst{m()}, "NoUpdateIsLost"},
		{"Replace looks at Keep, then writes", replaceReadsKeep{m()}, "KeepKeepsWhatIsStoredByThen"},
		{"Replace deletes and creates", replaceRecreates{m()}, "DeletedSecretIsNotResurrected"},
		{"Replace writes key by key", replaceByKey{m()}, "RevealIsNotTorn"},
		{"Replace checks Keep before OnlyIf", replaceChecksKeepFirst{m()}, "ChangedComesBeforeTheRest"},
		{"Replace says changed for missing", replaceChangedFirst{m()}, "NotFoundComesFirst"},
		{"Replace takes * for a revision", replaceTakesAnyLiterally{m()}, "AnyRevisionIsAdmitted"},
		{"Replace rejects every condition", replaceRejectsConditions{m()}, "CurrentRevisionIsAdmitted"},

		{"Describe loses the values", describeLosesValues{m()}, "DescribeKeepsTheValues"},
		{"Describe overwrites", describeOverwrites{m()}, "DescribeDoesNotOverwrite"},
		{"Describe describes before it refuses", describeHalfRefuses{m()}, "DescribeDoesNotOverwrite"},
		{"Describe leaves the old name", describeCopies{m()}, "DescribeMovesTheSecret"},
		{"Describe finds its own name taken", describeFindsItself{m()}, "DescribeUnderItsOwnNameChangesTheDescription"},
		{"Describe cannot clear a description", describeKeepsOld{m()}, "DescribeUnderItsOwnNameChangesTheDescription"},
		{"Describe creates anew", describeRecreates{m()}, "DescribeKeepsTheTimeOfCreation"},
		{"Describe looks for taken names first", describeTakenFirst{m()}, "NotFoundComesFirst"},
		{"Describe looks, then writes", describeLooksFirst{m()}, "OneOfTwoRenamesToOneNameWins"},
		{"Describe copies what it read", describeCopiesRead{m()}, "RenameKeepsAConcurrentReplacement"},
		{"Describe creates, then deletes", describeCreatesFirst{m()}, "NoReaderSeesBothNames"},
		{"Describe deletes, then creates", describeRecreates{m()}, "NoReaderSeesNeitherName"},
		{"Describe creates, then deletes", describeCreatesFirst{m()}, "OneOfTwoRenamesOfOneSecretWins"},
		{"Describe creates, then deletes", describeCreatesFirst{m()}, "OneOfRenameAndDeleteWins"},
		{"Describe looks, then writes", describeLooksFirst{m()}, "OneOfRenameAndCreateWins"},
		{"Describe overwrites", describeOverwrites{m()}, "RenamesInCirclesLoseNothing"},
		{"Describe looks at OnlyIf, then writes", describeChecksFirst{m()}, "OneOfManyWithTheSameConditionWins"},
		{"Describe trims the new name", describeTrims{m()}, "SecretMayBeRenamedToAnyName"},
		{"Describe looks for the name everywhere", describeLooksEverywhere{m()}, "NameOfAnotherOwnersSecretIsFree"},
		{"names are used once", &namesUsedOnce{Store: m()}, "RenamedSecretLeavesItsNameFree"},
		{"names are used once", &namesUsedOnce{Store: m()}, "SecretMayBeRenamedBack"},
		{"names are used once", &namesUsedOnce{Store: m()}, "NameIsFreeAgainAfterDelete"},

		{"Delete does not delete", deleteDoesNothing{m()}, "DeletedSecretIsGone"},
		{"Delete of nothing is well", deleteOfNothing{m()}, "MissingSecretIsNotFound"},
		{"Delete ignores OnlyIf", deleteIgnoresOnlyIf{m()}, "StaleRevisionChangesNothing"},
		{"Delete looks, then deletes", deleteLooksFirst{m()}, "DeleteUnderAConditionDeletesWhatWasMeant"},
		{"Delete looks, then deletes", deleteLooksFirst{m()}, "OneOfManyDeletersWins"},
		{"Delete takes everybody's", deleteEverybodys{m()}, "OwnersNeverReachEachOthersSecrets"},
		{"Delete takes what begins like it", deleteByPrefix{m()}, "DeleteTakesNothingElse"},

		{"Updated stays", infos{m(), updatedStays}, "ReplaceMovesUpdated"},
		{"Updated goes back", infos{m(), updatedGoesBack}, "DescribeMovesUpdated"},
		{"revisions are seconds", infos{m(), seconds}, "RevisionChangesWithEveryChange"},
		{"revisions are of the values", infos{m(), ofValues}, "RevisionIsNotDerivedFromValues"},
		{"revisions count from one", infos{m(), fromOne()}, "RevisionNeverComesAgainUnderAName"},
		{"every revision is *", infos{m(), star}, "RevisionIsNoCondition"},
		{"a revision is of the whole store", infos{m(), ofTheStore}, "RevisionStaysWithoutAChange"},
		{"Check fails", checkFails{m()}, "StoreCanDoItsWork"},

		{"every outcome is done", recordsDone{records{m()}}, "OutcomeOfWhatWasRefusedIsOnRecord"},
		{"an outcome is left out", recordsNoReveal{records{m()}}, "OutcomeOfWhatWasDoneIsOnRecord"},
		{"an event must be there", recordsAlways{records{m()}}, "EventIsNotNeeded"},
		{"a credential is not checked", recordsUnchecked{records{m()}}, "CredentialIsCheckedFirst"},
		{"a read is counted before it succeeds", recordsSpendingFirst{records{m()}}, "DeliveryIsSpentLast"},

		{"Create does not await", awaits{m(), "Create"}, "NothingHappensThatIsNotOnRecord"},
		{"Reveal does not await", awaits{m(), "Reveal"}, "NothingHappensThatIsNotOnRecord"},
		{"Replace does not await", awaits{m(), "Replace"}, "NothingHappensThatIsNotOnRecord"},
		{"Describe does not await", awaits{m(), "Describe"}, "NothingHappensThatIsNotOnRecord"},
		{"Delete does not await", awaits{m(), "Delete"}, "NothingHappensThatIsNotOnRecord"},
		{"Replace replaces, then awaits", replaceAwaitsLate{awaits{m(), ""}}, "NothingHappensThatIsNotOnRecord"},
		{"Replace takes an attempt on record for none", replaceWantsNone{awaits{m(), ""}}, "WhatIsOnRecordHappens"},
	}
}

func TestEveryMutantIsCaught(t *testing.T) {
	t.Parallel()
	for _, m := range mutants() {
		t.Run(m.defect+"/"+m.caughtBy, func(t *testing.T) {
			if verdict := checkOn(t, m.caughtBy, m.store); len(verdict) == 0 {
				t.Errorf("%s says nothing about a store in which %s", m.caughtBy, m.defect)
			} else {
				t.Log(verdict[0])
			}
		})
	}
}

func TestEveryPromiseCatchesAMutant(t *testing.T) {
	all := mutants()
	for _, p := range promises() {
		if !slices.ContainsFunc(all, func(m mutant) bool { return m.caughtBy == p.name }) {
			t.Errorf("no store breaks %s", p.name)
		}
	}
}

// checkOn returns the failures of one promise for the store.
func checkOn(t *testing.T, name string, st secret.Store) []string {
	t.Helper()
	for _, p := range promises() {
		if p.name == name {
			return verdict(t, func(t T) { p.check(t, st) })
		}
	}
	t.Fatalf("no promise is called %s", name)
	return nil
}

// verdict runs a check until its first Fatalf, like the testing package.
func verdict(t *testing.T, check func(t T)) []string {
	t.Helper()
	r := &recorder{ctx: t.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				r.Errorf("panic: %v", v)
			}
		}()
		check(r)
	}()
	<-done
	if r.skipped {
		t.Error("the promise was skipped")
	}
	return r.failures
}

// A recorder is a T that records failures instead of failing the test.
type recorder struct {
	ctx      context.Context //nolint:containedctx // stands in for T.Context
	mu       sync.Mutex
	failures []string
	skipped  bool
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skip(...any) {
	r.skipped = true
	runtime.Goexit()
}

// Behaviour that the interface allows passes, even if no store of ours has it.
func TestEveryPromiseHoldsForAStoreThat(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func() secret.Store{
		"keeps them all":      func() secret.Store { return memory.New() },
		"wraps its errors":    func() secret.Store { return wrapsErrors{memory.New()} },
		"awaits the record":   func() secret.Store { return awaits{memory.New(), ""} },
		"minds the context":   func() secret.Store { return mindsContext{memory.New()} },
		"skips empty changes": func() secret.Store { return skipsEmptyChanges{memory.New()} },
		"counts in seconds":   func() secret.Store { return infos{memory.New(), toTheSecond} },
		"records":             func() secret.Store { return records{memory.New()} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Run(t, func(*testing.T) secret.Store { return open() })
		})
	}
	t.Run("is durable", func(t *testing.T) {
		Suite{
			Open:   func(*testing.T) secret.Store { return memory.New() },
			Reopen: func(_ *testing.T, st secret.Store) secret.Store { return st },
		}.Run(t)
	})
	t.Run("renames in two steps", func(t *testing.T) {
		Suite{
			Open:             func(*testing.T) secret.Store { return &renamesInTwoSteps{Store: memory.New()} },
			RenameInTwoSteps: true,
		}.Run(t)
	})
}
