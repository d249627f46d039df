#!/usr/bin/env node
// The command `millrace`. Written in old syntax, so that an old Node.js gets far enough to say that it is too old.
// Inside the repository `#cli` is the TypeScript source (export condition millrace-source), in the package it is dist/.

var found = process.versions.node
var version = found.split('.').map(Number)
if (version[0] < 22 || (version[0] === 22 && version[1] < 22)) {
  console.error(
    'error NODE_TOO_OLD: millrace needs Node.js 22.22 or newer, this is ' +
      found +
      ' (' +
      process.execPath +
      '). ' +
      'Install a newer one from https://nodejs.org; inside the repository, `npm ci` then `npm exec -- millrace` brings its own.',
  )
  process.exitCode = 2
} else {
  import('#cli').catch(function (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || error.url !== new URL('../dist/cli/main.js', import.meta.url).href)
      throw error
    console.error(
      'millrace is not built here. Inside the repository run it as `npm exec -- millrace …`, which needs no build; ' +
        'or build it with `npm run build`.',
    )
    process.exitCode = 2
  })
}
