// As the starter kits have it.
import 'reflect-metadata';
import { Ignitor, prettyPrintError } from '@adonisjs/core';

const root = new URL('../', import.meta.url);
const importer = (path: string) =>
  path.startsWith('./') || path.startsWith('../') ? import(new URL(path, root).href) : import(path);

new Ignitor(root, { importer })
  .tap((app) => {
    app.listen('SIGTERM', () => app.terminate());
    app.listenIf(app.managedByPm2, 'SIGINT', () => app.terminate());
  })
  .httpServer()
  .start()
  .catch((error: unknown) => {
    process.exitCode = 1;
    prettyPrintError(error);
  });
