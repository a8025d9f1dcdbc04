import { randomBytes } from 'node:crypto'
import { createLibp2pNetwork } from '../../node/adapters/libp2p/index.ts'
import { createSystemClock } from '../../node/adapters/system/index.ts'
import { addressOf, Network } from '../sim/network.ts'
import { createSimulatedWorld } from './network-sim.ts'
import { networkSuite } from './network-suite.ts'
import { RunningWorld } from './running-world.ts'

networkSuite('libp2p', () => ({
  listen: '/ip4/127.0.0.1/tcp/0',
  create: async () => createLibp2pNetwork({ keySeed: new Uint8Array(randomBytes(32)) }),
}))

networkSuite('between actors under test', () => {
  const world = createSimulatedWorld(createSystemClock())
  const names = ['alfa', 'bravo', 'carmen', 'delta'].values()
  return { listen: '', create: async () => world.create(names.next().value as string) }
})

describe('in the simulator', () => {
  const running: RunningWorld[] = []
  afterEach(() => {
    for (const world of running.splice(0)) world.stop()
  })

  networkSuite('simulated', () => {
    const around = new RunningWorld()
    running.push(around)
    const network = new Network(
      around.world,
      () => {},
      () => {},
    )
    const names = ['Aa', 'Bb', 'Cc', 'Dd'].values()
    return {
      listen: addressOf('Aa'),
      create: async () => {
        const name = names.next().value as string
        return network.create(name, around.life(name), Number.POSITIVE_INFINITY)
      },
    }
  })
})
