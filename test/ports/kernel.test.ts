import {
  createIds,
  createLog,
  createMetricSink,
  createRegistry,
  createSystemClock,
  createSystemRandom,
} from '../../node/adapters/system/index.ts'
import type { KernelPorts } from '../../supervisor/index.ts'
import { createCountingIds, createTestPorts } from '../../supervisor/testing/index.ts'
import { START_MS } from '../sim/world.ts'
import { kernelSuite } from './kernel-suite.ts'
import { RunningWorld } from './running-world.ts'

function systemPorts(): KernelPorts {
  const random = createSystemRandom()
  return {
    clock: createSystemClock(),
    random,
    ids: createIds(random),
    log: createLog({ level: 'trace', format: 'json', write: () => {} }),
    metrics: createMetricSink(createRegistry()),
  }
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

kernelSuite('system', () => ({
  ports: systemPorts(),
  others: systemPorts(),
  pass: wait,
  close() {},
}))

kernelSuite('moved by hand', () => {
  const ports = createTestPorts(1)
  return {
    ports,
    others: { ...createTestPorts(2), ids: createCountingIds('other') },
    pass: (ms) => ports.clock.advance(ms),
    close() {},
  }
})

kernelSuite('simulated', () => {
  const running = new RunningWorld()
  running.stop()
  const { world } = running
  return {
    ports: running.life('one').kernel('one1'),
    others: running.life('two').kernel('two1'),
    pass: async (ms) => {
      await wait(0)
      const untilMs = world.nowMs + ms
      while (world.nowMs < untilMs) await world.run(untilMs - START_MS)
    },
    close() {},
  }
})
