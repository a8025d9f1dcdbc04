import { randomBytes } from 'node:crypto'
import { createLibp2pNetwork } from '../../node/adapters/libp2p/index.ts'
import { createSystemClock } from '../../node/adapters/system/index.ts'
import { createSimulatedWorld } from './network-sim.ts'
import { networkSuite } from './network-suite.ts'

networkSuite('libp2p', () => ({
  listen: '/ip4/127.0.0.1/tcp/0',
  create: async () => createLibp2pNetwork({ keySeed: new Uint8Array(randomBytes(32)) }),
}))

networkSuite('simulated', () => {
  const world = createSimulatedWorld(createSystemClock())
  const names = ['alfa', 'bravo', 'carmen', 'delta'].values()
  return { listen: '', create: async () => world.create(names.next().value as string) }
})
