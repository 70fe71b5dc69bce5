import 'reflect-metadata';
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

@Injectable()
class AppService {
  hello(): string {
    return `ok ${process.env.RESTARTINIT_GENERATION}`;
  }
}

@Controller()
class AppController {
  constructor(private readonly service: AppService) {}

  @Get()
  hello(): string {
    return this.service.hello();
  }

  @Get('slow')
  async slow(): Promise<string> {
    console.log('slow');
    await new Promise((done) => setTimeout(done, Number(process.env.SLOW_MS ?? 500)));
    return 'ok slow';
  }
}

@Module({ controllers: [AppController], providers: [AppService] })
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
// What the starter app leaves out.
if (process.env.SHUTDOWN_HOOKS) app.enableShutdownHooks();
await app.listen(process.env.PORT ?? 3000);
