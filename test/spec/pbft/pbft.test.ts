import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { plantedProcess } from '../../sim/mutants/hunt.ts'
import { counterExample, hasSpin, PLANTED, randomTrace, replayAll, search } from './check.ts'
import { parseTraces, traceText } from './trace.ts'

const KEPT = readFileSync(new URL('kept.txt', import.meta.url), 'utf8')
const kept = parseTraces(KEPT)
const UNLOCKED = readFileSync(new URL('without-lock.txt', import.meta.url), 'utf8')
const unlocked = parseTraces(UNLOCKED)

describe('runs of the model, replayed on the driver', () => {
  const replays = replayAll(kept)

  it('BF-1, BF-5, BF-10: each node signs what the model signs, and nothing else, whoever lies or crashes', () => {
    expect(replays.mismatches).toEqual([])
    expect(new Set(kept.map(({ liar }) => liar))).toEqual(new Set([0, 1, 2, 3]))
  })

  it('are worth it: there are commits, crashes, and proposals that a lock forbids', () => {
    const actions = kept.flatMap(({ steps }) => steps.map(({ action }) => action?.kind))
    expect(actions.filter((kind) => kind === 'crash').length).toBeGreaterThan(10)
    expect(replays.commits).toBeGreaterThan(50)
    expect(replays.forbidden).toBeGreaterThan(20)
  })

  it('are written as they are read', () => {
    expect(kept.map(traceText).join('')).toBe(KEPT)
  })

  it('BF-5: a driver without the lock rule does not pass', () => {
    const script = fileURLToPath(new URL('kept.ts', import.meta.url))
    const { args, env } = plantedProcess('lock-not-asked')
    const { stdout } = spawnSync(process.execPath, [...args, script], { env, encoding: 'utf8' })
    expect(Number(stdout)).toBeGreaterThan(0)
  })
})

describe('the shortest run that breaks the model without its lock rule', () => {
  const [run] = unlocked

  it('decides two blocks', () => {
    const commits = run?.steps.flatMap(({ follows }) => follows) ?? []
    const votes = commits.filter(({ kind }) => kind === 'commit')
    expect(votes.map((vote) => (vote.kind === 'commit' ? vote.block : 0))).toEqual([1, 1, 2, 2])
  })

  it('BF-5: stops at the locked validator, whose driver does not prepare the second block', () => {
    const prepares = (run?.steps ?? []).findIndex(
      ({ action }) => action?.kind === 'prepare' && action.node === 0 && action.view === 1,
    )
    expect(replayAll(unlocked).mismatches).toMatchObject([
      { step: prepares, node: 0, expected: 'prepare 1 2', got: '' },
    ])
  })
})

const withSpin = hasSpin() ? describe : describe.skip

withSpin(`the model, searched (${hasSpin() ? 'spin' : 'no spin and gcc here'})`, () => {
  it('BF-1: two views hold no disagreement and no lock that bars every proposal, whoever lies', () => {
    for (const liar of [0, 1, 2, 3]) {
      const { states, violation } = search({ liar, views: 2, crashes: 1 })
      expect(violation).toBeUndefined()
      expect(states).toBeGreaterThan(1_000)
    }
  })

  it.each(Object.entries(PLANTED))('without a rule there is a counter-example: %s, %s', (name) => {
    const planted = name as keyof typeof PLANTED
    expect(search({ liar: 1, views: 2, crashes: 1, planted }).violation).toMatch(/^assertion/)
  })

  it('its shortest counter-example without the lock is the one that is kept', () => {
    const found = counterExample({ liar: 1, views: 2, crashes: 0, planted: 'NOLOCK' })
    expect(traceText(found)).toBe(UNLOCKED)
  })

  it('its fresh runs pass as the kept ones do', () => {
    const traces = [101, 102, 103, 104].map((seed) => randomTrace(seed))
    expect(replayAll(traces).mismatches).toEqual([])
  })
})
