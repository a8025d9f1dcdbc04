import { randomBytes } from 'node:crypto'
import { createLibp2pNetwork } from '../../node/adapters/libp2p/index.ts'
import { networkSuite } from './network-suite.ts'

networkSuite('libp2p', () => ({
  listen: '/ip4/127.0.0.1/tcp/0',
  create: async () => createLibp2pNetwork({ keySeed: new Uint8Array(randomBytes(32)) }),
}))
