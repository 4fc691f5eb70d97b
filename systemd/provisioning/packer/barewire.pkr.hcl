# Add to your template, and name your source: the image is tuned, rebooted, and built only if the gate approves it.
# A plan is made for the machine that it is made on: build on the type of machine that the image is for, or let each
# machine tune itself when it boots for the first time (payload/).

variable "barewire_tune" {
  type        = string
  description = "The program, on the machine that runs Packer."
}

variable "barewire_config" {
  type        = string
  description = "The daemon's configuration."
}

variable "barewire_waivers" {
  type        = string
  default     = "../waivers.toml"
  description = "What the gate lets through."
}

build {
  sources = ["source.qemu.server"]

  provisioner "shell" {
    inline = ["mkdir -p /tmp/barewire"]
  }

  provisioner "file" {
    source      = var.barewire_tune
    destination = "/tmp/barewire/barewire-tune"
  }

  provisioner "file" {
    source      = var.barewire_config
    destination = "/tmp/barewire/barewire.toml"
  }

  provisioner "file" {
    source      = var.barewire_waivers
    destination = "/tmp/barewire/waivers.toml"
  }

  provisioner "file" {
    source      = "${path.root}/../payload/barewire-first-boot"
    destination = "/tmp/barewire/barewire-first-boot"
  }

  provisioner "file" {
    source      = "${path.root}/../payload/barewire-first-boot.service"
    destination = "/tmp/barewire/barewire-first-boot.service"
  }

  # It may reboot.
  provisioner "shell" {
    script            = "${path.root}/tune.sh"
    execute_command   = "sudo env {{ .Vars }} sh '{{ .Path }}'"
    expect_disconnect = true
  }

  # The last step: a gate that stays closed fails the build.
  provisioner "shell" {
    script          = "${path.root}/gate.sh"
    execute_command = "sudo env {{ .Vars }} sh '{{ .Path }}'"
    pause_before    = "10s"
  }
}
