/** What the kernel needs from every clock, randomness, source of ids, log and metrics, real or not. */
import type { KernelPorts } from '../../supervisor/index.ts'

export interface KernelUnderTest {
  readonly ports: KernelPorts
  /** Ports of another process. */
  readonly others: KernelPorts
  /** Lets time pass. */
  pass(ms: number): Promise<void>
  close(): void
}

export function kernelSuite(name: string, open: () => KernelUnderTest): void {
  describe(`the kernel's ports: ${name}`, () => {
    let under: KernelUnderTest
    beforeEach(() => {
      under = open()
    })
    afterEach(() => under.close())

    it('C-3: a timer fires once, not before its time', async () => {
      const { clock } = under.ports
      const startMs = clock.nowMs()
      const fired: number[] = []
      clock.setTimer(30, () => fired.push(clock.nowMs() - startMs))
      expect(fired).toEqual([])
      await under.pass(20)
      expect(fired).toEqual([])
      await under.pass(120)
      expect(fired).toHaveLength(1)
      expect(fired[0]).toBeGreaterThanOrEqual(29)
    })

    it('timers of one instant fire in the order in which they were set, earlier ones before', async () => {
      const { clock } = under.ports
      const order: string[] = []
      clock.setTimer(20, () => order.push('late'))
      for (const letter of ['a', 'b', 'c']) clock.setTimer(5, () => order.push(letter))
      await under.pass(150)
      expect(order).toEqual(['a', 'b', 'c', 'late'])
    })

    it('a cancelled timer does not fire, and cancelling twice or late does nothing', async () => {
      const { clock } = under.ports
      const fired: string[] = []
      const cancelled = clock.setTimer(5, () => fired.push('cancelled'))
      const kept = clock.setTimer(5, () => fired.push('kept'))
      cancelled.cancel()
      cancelled.cancel()
      await under.pass(100)
      kept.cancel()
      await under.pass(20)
      expect(fired).toEqual(['kept'])
    })

    it('a delay of nothing, or less, is as soon as possible, but not at once', async () => {
      const { clock } = under.ports
      const fired: number[] = []
      clock.setTimer(0, () => fired.push(0))
      clock.setTimer(-5, () => fired.push(-5))
      expect(fired).toEqual([])
      await under.pass(50)
      expect(fired.toSorted()).toEqual([-5, 0])
    })

    it('what yields goes on later, after promises', async () => {
      const { clock } = under.ports
      const order: string[] = []
      clock.yieldToLoop(() => order.push('resumed'))
      void Promise.resolve().then(() => order.push('promise'))
      expect(order).toEqual([])
      await under.pass(30)
      expect(order).toEqual(['promise', 'resumed'])
    })

    it('random bytes are as many as were asked for and differ from draw to draw and process to process', () => {
      for (const length of [0, 1, 32, 1_000]) {
        expect(under.ports.random.bytes(length)).toHaveLength(length)
      }
      const draws = [under.ports, under.ports, under.others].map(({ random }) =>
        Buffer.from(random.bytes(32)).toString('hex'),
      )
      expect(new Set(draws).size).toBe(3)
    })

    it('C-6: no id comes twice, in one process or in two', () => {
      const ids = [under.ports, under.others].flatMap(({ ids }) =>
        Array.from({ length: 2_000 }, () => ids.next()),
      )
      expect(new Set(ids).size).toBe(4_000)
    })

    it('log and metrics take whatever a room gives them', () => {
      const { log, metrics } = under.ports
      const fields = {
        text: 'x'.repeat(10_000),
        amountSat: 5n,
        bytes: new Uint8Array(64),
        error: new Error('wrong', { cause: new Error('deeper') }),
        nothing: undefined,
        list: Array.from({ length: 1_000 }, (_, at) => at),
      }
      for (const level of ['trace', 'debug', 'info', 'warn', 'error'] as const) {
        log.write({ level, atMs: 0, actor: 'a', event: 'e', correlationId: 'c', fields })
        log.write({ level, atMs: 0, actor: 'a', event: 'e' })
      }
      for (let at = 0; at < 2_000; at++) {
        metrics.count('tried_total', { at: String(at) })
        metrics.count('tried_total', {}, 2)
        metrics.observe('took_seconds', { at: String(at) }, at / 1_000)
      }
    })
  })
}
