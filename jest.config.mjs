const common = {
  rootDir: '.',
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': './test/jest/transform.cjs' },
  modulePathIgnorePatterns: ['<rootDir>/\\.millrace', '<rootDir>/dist'],
}

export default {
  coverageProvider: 'v8',
  workerIdleMemoryLimit: '512MB',
  maxWorkers: 2,
  testTimeout: 60_000,
  reporters: ['default', './test/jest/reporter.cjs'],
  projects: [
    {
      ...common,
      displayName: 'fast',
      testMatch: ['<rootDir>/test/{unit,arch,ports,docs,conformance}/**/*.test.ts'],
    },
    { ...common, displayName: 'spec', testMatch: ['<rootDir>/test/spec/**/*.test.ts'] },
    { ...common, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.test.ts'] },
  ],
}
