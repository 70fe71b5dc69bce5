# Nomad, docker driver:
#
#   nomad job validate examples/deploy/web.nomad.hcl && nomad job run examples/deploy/web.nomad.hcl
#   nomad alloc exec -task web ALLOCATION /restartinit status
#
job "web" {
  type = "service"

  group "web" {
    count = 2

    network {
      port "web" { to = 3000 }
      # For Nomad's checks; examples/monitoring says how Prometheus asks the same port.
      port "restartinit" { to = 9464 }
    }

    # After the hand-over: once more on this node, then on another one. restartinit has tried six times here by then.
    restart {
      attempts = 1
      interval = "5m"
      delay    = "15s"
      mode     = "fail"
    }
    reschedule {
      delay          = "30s"
      delay_function = "exponential"
      max_delay      = "10m"
      unlimited      = true
    }

    update {
      max_parallel = 1
      health_check = "checks"
      # Longer than the restart window (60 s): a new version that crashes every few seconds may pass its checks, but not for so long.
      min_healthy_time  = "65s"
      healthy_deadline  = "5m"
      progress_deadline = "10m"
      auto_revert       = true
    }

    # Nomad takes the service out of discovery, waits for this, and then sends the signal: so restartinit needs no drain delay.
    shutdown_delay = "5s"

    service {
      name     = "web"
      port     = "web"
      provider = "nomad"

      check {
        name     = "ready"
        type     = "http"
        port     = "restartinit"
        path     = "/readyz"
        interval = "5s"
        timeout  = "2s"
      }
      # Asks whether supervision works, never whether the app is ready.
      check {
        name     = "supervised"
        type     = "http"
        port     = "restartinit"
        path     = "/livez"
        interval = "10s"
        timeout  = "5s"
        check_restart {
          limit = 3
          grace = "60s"
        }
      }
    }

    task "web" {
      driver = "docker"
      user   = "1000"

      config {
        image = "registry.example.com/web:1.0.0"
        # args replaces CMD. entrypoint would replace restartinit, and init = true would put another init above it.
        args            = ["node", "server.js"]
        ports           = ["web", "restartinit"]
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
      }

      env {
        RESTARTINIT_HTTP             = "9464"
        RESTARTINIT_GRACE_PERIOD     = "20s"
        RESTARTINIT_LEFTOVER_TIMEOUT = "2s"
        RESTARTINIT_MAX_MEMORY       = "80%"
        RESTARTINIT_NO_RESTART_ON    = "78"
      }

      # The docker driver's default; other drivers send SIGINT, which is a stop signal as well.
      kill_signal = "SIGTERM"
      # 20 s + 2 s = 22 s, and 3 s to spare. The default is 5 s, and the node's max_kill_timeout caps it at 30 s.
      kill_timeout = "25s"

      resources {
        cpu    = 100
        memory = 256
      }
    }
  }
}
