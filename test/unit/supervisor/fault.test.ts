import {
  backoffMs,
  DEFAULT_RESTART,
  decideRestart,
  type FaultClass,
  faultError,
  toFault,
} from '../../../supervisor/index.ts'

const decide = (faultClass: FaultClass, retries = 0, restartsMs: number[] = [], chance = 0.5) =>
  decideRestart(
    { code: 'X', faultClass, reason: 'x' },
    { retries, restartsMs },
    DEFAULT_RESTART,
    1e6,
    chance,
  )

describe('SU-2 the fault class picks the rule', () => {
  it('network: at once', () => {
    expect(decide('network')).toEqual({ kind: 'restart', delayMs: 0 })
  })

  it('service: 100 ms, doubled each time up to 60 s', () => {
    const delays = Array.from({ length: 12 }, (_, retries) =>
      backoffMs(retries, DEFAULT_RESTART, 0.5),
    )
    expect(delays).toEqual([
      100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000, 60_000,
    ])
    expect(decide('service', 3)).toEqual({ kind: 'restart', delayMs: 800 })
  })

  it('service: the jitter stays within 10 % to both sides and uses all of it', () => {
    expect(backoffMs(5, DEFAULT_RESTART, 0)).toBe(2_880)
    expect(backoffMs(5, DEFAULT_RESTART, 0.999_999)).toBe(3_520)
  })

  it('service: ten retries in a row, the eleventh fault terminates', () => {
    expect(decide('service', 9)).toMatchObject({ kind: 'restart' })
    expect(decide('service', 10)).toMatchObject({ kind: 'terminate', escalate: true })
  })

  it('cascade: to the circuit breaker', () => {
    expect(decide('cascade')).toEqual({ kind: 'break' })
  })

  it('logic: terminate and escalate', () => {
    expect(decide('logic')).toMatchObject({ kind: 'terminate', escalate: true })
  })

  it('configuration: stop with the reason', () => {
    expect(decide('configuration')).toMatchObject({ kind: 'terminate', escalate: false })
  })

  it('the intensity bounds every class that restarts', () => {
    const recent = Array.from({ length: 10 }, (_, index) => 1e6 - index)
    for (const faultClass of ['network', 'service', 'cascade'] as const) {
      expect(decide(faultClass, 0, recent)).toMatchObject({ kind: 'terminate', escalate: true })
    }
    expect(decide('network', 0, recent.slice(1))).toMatchObject({ kind: 'restart' })
    const old = recent.map((at) => at - 60_000)
    expect(decide('network', 0, old)).toMatchObject({ kind: 'restart' })
  })
})

describe('what was thrown becomes a fault', () => {
  it('an error that carries a class keeps class and code', () => {
    expect(toFault(faultError('LmdbFull', 'logic', 'no room'), 'Other')).toMatchObject({
      code: 'LmdbFull',
      faultClass: 'logic',
      reason: 'no room',
    })
  })

  it('a value that carries a class is as good as an error', () => {
    const value = { code: 'Refused', faultClass: 'network', reason: 'peer closed' }
    expect(toFault(value, 'Other')).toMatchObject(value)
  })

  it('a bug without a class is restarted like a service fault, under the code of its place', () => {
    const bug = new TypeError('x is not a function')
    expect(toFault(bug, 'HandlerThrew')).toMatchObject({
      code: 'HandlerThrew',
      faultClass: 'service',
    })
    expect(toFault(undefined, 'HandlerThrew')).toMatchObject({ reason: 'undefined' })
    expect(toFault({ faultClass: 'unheard' }, 'HandlerThrew').faultClass).toBe('service')
  })
})
